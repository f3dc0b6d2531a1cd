import type { ControllerBackend, VolumePlace } from '../backend/backend.js';
import type { VolumeTrouble } from '../domain/health.js';
import type { VolumeId } from '../domain/volume-id.js';
import { DriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import { backendForId } from './choose-backend.js';
import type { ControllerDependencies } from './controller-service.js';

export interface GetVolumeHealthInput {
  /** undefined for an id that Cuttle can't have given out. */
  readonly id: VolumeId | undefined;
  readonly idText: string;
  readonly credentials: Credentials | undefined;
}

export interface VolumeHealth {
  readonly id: VolumeId;
  /** Empty when nothing is known to be wrong. */
  readonly troubles: readonly VolumeTrouble[];
}

/**
 * What is wrong with a volume, as the cluster sees it. A cluster that gives no answer is an error and no trouble: a controller that
 * can't reach it doesn't know what the nodes can (CSI spec: INACCESSIBLE may be taken as "from all nodes").
 * @throws DriverError NOT_FOUND, UNAVAILABLE.
 */
export async function getVolumeHealth(
  ctx: CallContext,
  deps: ControllerDependencies,
  { id, idText, credentials }: GetVolumeHealthInput,
): Promise<VolumeHealth> {
  if (id === undefined) throw missing(idText);
  const backend = backendForId(deps.backends, id);
  // First: what the cluster itself says to be out of reach would be waited for in vain.
  const before = await troublesOf(ctx, backend, { id }, credentials);
  if (before.some(({ status }) => status === 'INACCESSIBLE')) return { id, troubles: before };
  const volume = await backend.findVolume(ctx, id, credentials);
  if (volume === undefined) throw missing(idText);
  return { id, troubles: await troublesOf(ctx, backend, volume, credentials) };
}

async function troublesOf(
  ctx: CallContext,
  backend: ControllerBackend,
  volume: VolumePlace,
  credentials: Credentials | undefined,
): Promise<readonly VolumeTrouble[]> {
  const [troubles = []] = await backend.troubles(ctx, [volume], credentials);
  return troubles;
}

function missing(idText: string): DriverError {
  return new DriverError('NOT_FOUND', `volume "${idText}" does not exist`);
}
