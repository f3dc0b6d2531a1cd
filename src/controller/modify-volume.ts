import type { StringMap } from '../backend/backend.js';
import { DriverError } from '../domain/errors.js';
import { formatVolumeId, type VolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import { backendForId } from './choose-backend.js';
import type { ControllerDependencies } from './controller-service.js';

export interface ModifyVolumeInput {
  readonly id: VolumeId | undefined;
  readonly idText: string;
  /** Those that are to change; none is fine. */
  readonly mutableParameters: StringMap;
  readonly credentials: Credentials | undefined;
}

/** @throws DriverError NOT_FOUND when there is no such volume, INVALID_ARGUMENT (CSI spec, ControllerModifyVolume Errors). */
export async function modifyVolume(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: ModifyVolumeInput,
): Promise<void> {
  const { id, mutableParameters, credentials } = input;
  if (id === undefined) throw new DriverError('NOT_FOUND', `volume "${input.idText}" does not exist`);
  const backend = backendForId(deps.backends, id);
  const fingerprint = JSON.stringify(Object.entries(mutableParameters).sort(([a], [b]) => (a < b ? -1 : 1)));
  await deps.lock.run(formatVolumeId(id), 'ControllerModifyVolume', fingerprint, async () =>
    backend.modifyVolume(ctx, id, mutableParameters, credentials),
  );
}
