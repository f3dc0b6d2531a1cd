import type { CephPool } from '../../ceph/client.js';
import type { CallContext } from '../../platform/call-context.js';
import type { ImagePools } from './image-pools.js';

export interface PoolOfCluster {
  readonly clusterId: string;
  readonly pool: CephPool;
}

/**
 * Every pool of every cluster that is for RBD, in the order of their names, opened with the clusters' own credentials.
 * @param start cluster and pool to begin with, those before them are left out; the place of a page token
 */
export async function* poolsInOrder(
  ctx: CallContext,
  pools: ImagePools,
  start: readonly string[] | undefined,
): AsyncGenerator<PoolOfCluster> {
  const [startCluster = '', startPool = ''] = start ?? [];
  const clusters = [...pools.clusters.all()].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const { id: clusterId, rbdNamespace: namespace } of clusters) {
    if (clusterId < startCluster) continue;
    const connection = await pools.connect(ctx, clusterId);
    for (const name of (await connection.poolsOfApplication(ctx, 'rbd')).sort()) {
      if (clusterId === startCluster && name < startPool) continue;
      yield { clusterId, pool: (await pools.open(ctx, { clusterId, pool: name, namespace }, undefined)).pool };
    }
  }
}
