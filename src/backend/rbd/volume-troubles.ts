import type { VolumeTrouble } from '../../domain/health.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { VolumePlace } from '../backend.js';
import { eachCluster } from '../each-cluster.js';
import { fullPools, fullTroubles } from '../full-pools.js';
import type { ImagePools } from './image-pools.js';

/** One monitor command for each cluster. @throws DriverError NOT_FOUND (an unknown cluster), UNAVAILABLE. */
export async function volumeTroubles(
  ctx: CallContext,
  pools: ImagePools,
  volumes: readonly VolumePlace<RbdVolumeId>[],
  credentials: Credentials | undefined,
): Promise<VolumeTrouble[][]> {
  const full = await eachCluster(volumes, async (id) => {
    const connection = await pools.connect(ctx, pools.clusters.ofVolume(id).id, credentials);
    return fullPools(async (command) => connection.monCommand(ctx, command));
  });
  return volumes.map(({ id, dataPool = id.pool }) =>
    fullTroubles(full.get(id.clusterId) ?? new Map(), [id.pool, dataPool], id.clusterId),
  );
}
