import type { CephClient, CephConnection, CephFileSystem } from '../../ceph/client.js';
import { accessTo, type ClusterDefinition, type Clusters } from '../../ceph/clusters.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import { mountRoots } from './volume-paths.js';

/** A mounted file system with the way that led to it. */
export interface OpenedFileSystem {
  readonly cluster: ClusterDefinition;
  readonly connection: CephConnection;
  readonly fs: CephFileSystem;
}

/** File systems by volume id: connected with the request's credentials, else with the cluster's own. */
export class FileSystems {
  readonly #clusters: Clusters;
  readonly #client: CephClient;

  constructor(clusters: Clusters, client: CephClient) {
    this.#clusters = clusters;
    this.#client = client;
  }

  get clusters(): Clusters {
    return this.#clusters;
  }

  /** @throws DriverError NOT_FOUND when the id names a cluster or file system that is not there. */
  async open(
    ctx: CallContext,
    id: Pick<CephfsVolumeId, 'clusterId' | 'fsName' | 'path'>,
    credentials: Credentials | undefined,
  ): Promise<OpenedFileSystem> {
    const cluster = this.#clusters.ofVolume(id);
    const connection = await this.#client.connect(ctx, accessTo(cluster, credentials));
    const roots = mountRoots(cluster.cephfs.groupPath, id.path);
    return { cluster, connection, fs: await connection.fileSystem(ctx, id.fsName, roots) };
  }

  async connect(ctx: CallContext, clusterId: string, credentials?: Credentials): Promise<CephConnection> {
    return this.#client.connect(ctx, accessTo(this.#clusters.require(clusterId), credentials));
  }
}
