import type { GrownVolume } from '../backend/backend.js';
import { DriverError } from '../domain/errors.js';
import { formatVolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import { backendForId } from './choose-backend.js';
import type { ControllerDependencies, ExpandVolumeInput } from './controller-service.js';

/** @throws DriverError NOT_FOUND when there is no such volume, OUT_OF_RANGE (CSI spec, ControllerExpandVolume Errors). */
export async function expandVolume(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: ExpandVolumeInput,
): Promise<GrownVolume> {
  const { id, range, credentials } = input;
  if (id === undefined) throw new DriverError('NOT_FOUND', `volume "${input.idText}" does not exist`);
  const backend = backendForId(deps.backends, id);
  const fingerprint = [range.requiredBytes, range.limitBytes].join();
  return deps.lock.run(formatVolumeId(id), 'ControllerExpandVolume', fingerprint, async () =>
    backend.expandVolume(ctx, id, range, credentials),
  );
}
