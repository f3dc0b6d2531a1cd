import type { CephFileSystem } from '../../ceph/client.js';
import type { CallContext } from '../../platform/call-context.js';
import type { FileSystems } from './file-systems.js';

export interface GroupOfCluster {
  readonly clusterId: string;
  readonly fsName: string;
  readonly groupPath: string;
  readonly fs: CephFileSystem;
}

/**
 * The group of every file system of every cluster, in the order of their names, opened with the clusters' own credentials.
 * @param start cluster and file system to begin with, those before them are left out; the place of a page token
 */
export async function* groupsInOrder(
  ctx: CallContext,
  fileSystems: FileSystems,
  start: readonly string[] | undefined,
): AsyncGenerator<GroupOfCluster> {
  const [startCluster = '', startName = ''] = start ?? [];
  const clusters = [...fileSystems.clusters.all()].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const cluster of clusters) {
    const { groupPath } = cluster.cephfs;
    if (cluster.id < startCluster) continue;
    const connection = await fileSystems.connect(ctx, cluster.id);
    const names = (await connection.fileSystems(ctx)).map(({ name }) => name).sort();
    for (const fsName of names) {
      if (cluster.id === startCluster && fsName < startName) continue;
      const { fs } = await fileSystems.open(ctx, { clusterId: cluster.id, fsName, path: groupPath }, undefined);
      yield { clusterId: cluster.id, fsName, groupPath, fs };
    }
  }
}
