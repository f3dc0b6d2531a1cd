import type { CreateVolumeInput, Volume } from '../backend/backend.js';
import { DriverError } from '../domain/errors.js';
import { formatVolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import { backendForParameters } from './choose-backend.js';
import type { ControllerDependencies } from './controller-service.js';
import { refuseUnreachable, withReach } from './place-of.js';

/**
 * Makes the volume, or finds the one that an equal request has made.
 * @throws DriverError INVALID_ARGUMENT, OUT_OF_RANGE, ALREADY_EXISTS, RESOURCE_EXHAUSTED, ABORTED (CSI spec, CreateVolume Errors).
 */
export async function createVolume(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: CreateVolumeInput,
): Promise<Volume> {
  const backend = backendForParameters(deps.backends, input.parameters);
  for (const capability of input.capabilities) {
    const objection = backend.objection(capability);
    if (objection !== undefined) throw new DriverError('INVALID_ARGUMENT', `volume_capabilities: ${objection}`);
  }
  const plan = backend.planVolume(input);
  const make = async () => {
    await refuseUnreachable(ctx, deps, backend, plan, input);
    const volume = await plan.create(ctx);
    return withReach(deps, volume.id, volume);
  };
  // Wherever it may come to lie: a request for the same volume that would choose another place is told ABORTED here.
  const locked = [plan.id, ...(plan.elsewhere ?? [])].reduceRight<() => Promise<Volume>>(
    (work, id) => async () => deps.lock.run(formatVolumeId(id), 'CreateVolume', fingerprint(input), work),
    make,
  );
  return locked();
}

/** Equal for requests that ask for the same volume. */
function fingerprint(input: CreateVolumeInput): string {
  const { capacity, capabilities, source, requirement } = input;
  const range = capacity === undefined ? [] : [capacity.requiredBytes.toString(), capacity.limitBytes.toString()];
  const sorted = [input.parameters, input.mutableParameters].map((map) =>
    Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  return JSON.stringify([range, ...sorted, capabilities, source, requirement]);
}
