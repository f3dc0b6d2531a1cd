import type { CreateVolumeInput, Volume } from '../backend/backend.js';
import { DriverError } from '../domain/errors.js';
import { formatVolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import { backendForParameters } from './choose-backend.js';
import type { ControllerDependencies } from './controller-service.js';

/**
 * Makes the volume, or finds the one that an equal request has made.
 * @throws DriverError INVALID_ARGUMENT, OUT_OF_RANGE, ALREADY_EXISTS, ABORTED (CSI spec, CreateVolume Errors).
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
  return deps.lock.run(formatVolumeId(plan.id), 'CreateVolume', fingerprint(input), async () => plan.create(ctx));
}

/** Equal for requests that ask for the same volume. */
function fingerprint(input: CreateVolumeInput): string {
  const { capacity, capabilities, source } = input;
  const range = capacity === undefined ? [] : [capacity.requiredBytes.toString(), capacity.limitBytes.toString()];
  const sorted = [input.parameters, input.mutableParameters].map((map) =>
    Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  return JSON.stringify([range, ...sorted, capabilities, source]);
}
