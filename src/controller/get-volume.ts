import type { FoundVolume } from '../backend/backend.js';
import { DriverError } from '../domain/errors.js';
import type { VolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import { backendForId } from './choose-backend.js';
import type { ControllerDependencies } from './controller-service.js';
import { withReach } from './place-of.js';

export interface GetVolumeInput {
  /** undefined for an id that Cuttle can't have given out. */
  readonly id: VolumeId | undefined;
  readonly idText: string;
}

/** With the driver's own credentials: the request carries none. @throws DriverError NOT_FOUND. */
export async function getVolume(
  ctx: CallContext,
  deps: ControllerDependencies,
  { id, idText }: GetVolumeInput,
): Promise<FoundVolume> {
  const volume = id === undefined ? undefined : await backendForId(deps.backends, id).findVolume(ctx, id, undefined);
  if (volume !== undefined) return withReach(deps, volume.id, volume);
  throw new DriverError('NOT_FOUND', `volume "${idText}" does not exist`);
}
