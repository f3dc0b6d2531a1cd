import { accessTo, type Clusters } from '../../ceph/clusters.js';
import type { CephAccess, CephClient, CephConnection, CephPool } from '../../ceph/client.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import { clientAddress } from './client-address.js';

/** An opened pool with the way that led to it. */
export interface OpenedPool {
  readonly access: CephAccess;
  readonly connection: CephConnection;
  readonly pool: CephPool;
}

/** Pools by volume id: connected with the request's credentials, else with the cluster's own. */
export class ImagePools {
  readonly #clusters: Clusters;
  readonly #client: CephClient;
  readonly #addresses = new Set<string>();

  constructor(clusters: Clusters, client: CephClient) {
    this.#clusters = clusters;
    this.#client = client;
  }

  get clusters(): Clusters {
    return this.#clusters;
  }

  /** @throws DriverError NOT_FOUND when the id names a cluster or pool that is not there. */
  async open(
    ctx: CallContext,
    id: Pick<RbdVolumeId, 'clusterId' | 'pool' | 'namespace'>,
    credentials: Credentials | undefined,
  ): Promise<OpenedPool> {
    const access = accessTo(this.#clusters.ofVolume(id), credentials);
    const connection = await this.#client.connect(ctx, access);
    this.#addresses.add(clientAddress(connection.address));
    return { access, connection, pool: await connection.pool(ctx, id.pool, id.namespace) };
  }

  /** Is this the address, as the list of an image's watchers has it, of a client by which pools were opened here? */
  isOwn(address: string): boolean {
    return this.#addresses.has(address);
  }

  async connect(ctx: CallContext, clusterId: string, credentials?: Credentials): Promise<CephConnection> {
    return this.#client.connect(ctx, accessTo(this.#clusters.require(clusterId), credentials));
  }
}
