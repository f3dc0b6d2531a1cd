import { DriverError } from '../../domain/errors.js';
import { isReachable, type Reach, type Segments } from '../../domain/topology.js';
import type { CallContext } from '../../platform/call-context.js';
import type { StringMap } from '../backend.js';
import { constrainedPoolsParameter } from './constrained-pools.js';
import { imagePlaces } from './image-places.js';
import type { ImagePools } from './image-pools.js';
import { parseParameters } from './parameters.js';

/**
 * What is free in the pools that a volume may go to, in bytes: that of a StorageClass, else every RBD pool of every cluster.
 * @param from only what can be reached from there counts; undefined: all does
 * @param keys the topology keys that the driver knows
 * @throws DriverError INVALID_ARGUMENT (no such pool), UNAVAILABLE (a new pool that the manager has no figures of yet).
 */
export async function availablePlaces(
  ctx: CallContext,
  pools: ImagePools,
  parameters: StringMap,
  from: Segments | undefined,
  keys: readonly string[],
): Promise<bigint[]> {
  const isFor = ({ reach }: { readonly reach: Reach }) => from === undefined || isReachable(reach, from);
  const isOpen = [parameters.pool, parameters.clusterID, parameters[constrainedPoolsParameter]].every(
    (value) => value === undefined,
  );
  if (isOpen) {
    const clusters = pools.clusters.all().filter(({ topology }) => isFor({ reach: topology }));
    const all = await Promise.all(clusters.map(async ({ id }) => readPools(ctx, pools, id)));
    return all.flatMap(({ tagged, free }) => tagged.flatMap((name) => free.get(name) ?? []));
  }
  const parsed = parseParameters(parameters);
  const cluster = pools.clusters.require(parsed.clusterId);
  const places = imagePlaces(parsed, cluster, from === undefined ? undefined : [from], keys).filter(isFor);
  if (places.length === 0) return [];
  const read = await readPools(ctx, pools, cluster.id);
  return places.map(({ pool, dataPool = pool }) => {
    const availableBytes = availableIn(cluster.id, dataPool, read);
    return availableBytes > parsed.headerBytes ? availableBytes - parsed.headerBytes : 0n;
  });
}

function availableIn(id: string, dataPool: string, { tagged, free }: ReadPools): bigint {
  if (!tagged.includes(dataPool)) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `pool "${dataPool}" is no RBD pool of cluster "${id}": correct the StorageClass, or run rbd pool init`,
    );
  }
  const availableBytes = free.get(dataPool);
  if (availableBytes !== undefined) return availableBytes;
  throw new DriverError(
    'UNAVAILABLE',
    `the manager of cluster "${id}" has no figures of pool "${dataPool}" yet, which it counts every few seconds: see ceph df, and repeat the request`,
  );
}

interface ReadPools {
  /** Those for RBD. */
  readonly tagged: readonly string[];
  readonly free: ReadonlyMap<string, bigint>;
}

async function readPools(ctx: CallContext, pools: ImagePools, clusterId: string): Promise<ReadPools> {
  const connection = await pools.connect(ctx, clusterId);
  const [tagged, capacities] = await Promise.all([
    connection.poolsOfApplication(ctx, 'rbd'),
    connection.poolCapacities(ctx),
  ]);
  return { tagged, free: new Map(capacities.map(({ name, availableBytes }) => [name, availableBytes])) };
}
