import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import type { StringMap } from '../backend.js';
import type { ImagePools } from './image-pools.js';
import { parseParameters } from './parameters.js';

/**
 * What is free in the pools that a volume may go to, in bytes: that of a StorageClass, else every RBD pool of every cluster.
 * @throws DriverError INVALID_ARGUMENT (no such pool), UNAVAILABLE (a new pool that the manager has no figures of yet).
 */
export async function availablePlaces(ctx: CallContext, pools: ImagePools, parameters: StringMap): Promise<bigint[]> {
  if (parameters.pool === undefined && parameters.clusterID === undefined) {
    const all = await Promise.all(pools.clusters.all().map(async ({ id }) => readPools(ctx, pools, id)));
    return all.flatMap(({ tagged, free }) => tagged.flatMap((name) => free.get(name) ?? []));
  }
  const { clusterId, pool, dataPool = pool, headerBytes } = parseParameters(parameters);
  const { id } = pools.clusters.require(clusterId);
  const { tagged, free } = await readPools(ctx, pools, id);
  if (!tagged.includes(dataPool)) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `pool "${dataPool}" is no RBD pool of cluster "${id}": correct the StorageClass, or run rbd pool init`,
    );
  }
  const availableBytes = free.get(dataPool);
  if (availableBytes !== undefined) return [availableBytes > headerBytes ? availableBytes - headerBytes : 0n];
  throw new DriverError(
    'UNAVAILABLE',
    `the manager of cluster "${id}" has no figures of pool "${dataPool}" yet, which it counts every few seconds: see ceph df, and repeat the request`,
  );
}

async function readPools(
  ctx: CallContext,
  pools: ImagePools,
  clusterId: string,
): Promise<{ readonly tagged: readonly string[]; readonly free: ReadonlyMap<string, bigint> }> {
  const connection = await pools.connect(ctx, clusterId);
  const [tagged, capacities] = await Promise.all([
    connection.poolsOfApplication(ctx, 'rbd'),
    connection.poolCapacities(ctx),
  ]);
  return { tagged, free: new Map(capacities.map(({ name, availableBytes }) => [name, availableBytes])) };
}
