import { DriverError } from '../domain/errors.js';
import type { Reach } from '../domain/topology.js';
import type { Credentials } from '../platform/credentials.js';
import type { CephAccess, CephTimeouts } from './client.js';

/** One cluster of the driver's configuration. */
export interface ClusterDefinition {
  readonly id: string;
  readonly monitors?: string;
  readonly cephConf?: string;
  /** The user of requests that carry no secrets (ListVolumes, GetCapacity, background work); `admin` unless set. */
  readonly user: string;
  /** That user's key, or the keyring that holds it; without both, Ceph's own search path. */
  readonly credentials?: Credentials;
  readonly keyring?: string;
  /** RADOS namespace for new RBD images; '' = none. */
  readonly rbdNamespace: string;
  /** How many clones may stand one upon the other: a deeper one is flattened in the background, or not made before its chain is shorter. */
  readonly cloneDepth: { readonly soft: number; readonly hard: number };
  /** Options of every mapping of this cluster's images, as the StorageClass parameter mapOptions writes them; '' = none. */
  readonly mapOptions: string;
  readonly unmapOptions: string;
  readonly cephfs: CephfsSettings;
  readonly timeouts: CephTimeouts;
  /** From where its volumes can be reached. */
  readonly topology: Reach;
}

/** Where a cluster's CephFS volumes are made and how they are mounted. */
export interface CephfsSettings {
  /** The file system of a StorageClass that names none. */
  readonly fsName: string;
  /** The directory of new volumes, `<root>/<group>`. */
  readonly groupPath: string;
  /** Options of every mount, separated by commas; '' = none. */
  readonly kernelMountOptions: string;
  readonly fuseMountOptions: string;
}

/** The clusters that the driver knows now; a reload of the configuration replaces them all at once. */
export class Clusters {
  #definitions: ReadonlyMap<string, ClusterDefinition>;

  constructor(definitions: readonly ClusterDefinition[]) {
    this.#definitions = byId(definitions);
  }

  replace(definitions: readonly ClusterDefinition[]): void {
    this.#definitions = byId(definitions);
  }

  all(): readonly ClusterDefinition[] {
    return [...this.#definitions.values()];
  }

  find(id: string): ClusterDefinition | undefined {
    return this.#definitions.get(id);
  }

  /** The cluster that a volume id names. @throws DriverError NOT_FOUND. */
  ofVolume(volume: { readonly clusterId: string }): ClusterDefinition {
    const found = this.#definitions.get(volume.clusterId);
    if (found !== undefined) return found;
    throw new DriverError(
      'NOT_FOUND',
      `the volume id names cluster "${volume.clusterId}", which this driver does not know (it knows ${this.#known()}): add it to the driver's configuration`,
    );
  }

  /** The same where OK would make the orchestrator forget a volume that may well exist. @throws DriverError FAILED_PRECONDITION. */
  forRemoval(volume: { readonly clusterId: string }, then: string): ClusterDefinition {
    const found = this.#definitions.get(volume.clusterId);
    if (found !== undefined) return found;
    throw new DriverError(
      'FAILED_PRECONDITION',
      `the volume id names cluster "${volume.clusterId}", which this driver does not know: add it to the driver's configuration, then the volume can be ${then}`,
    );
  }

  /** @param id a StorageClass's clusterID; '' = the only one there is. @throws DriverError INVALID_ARGUMENT. */
  require(id: string): ClusterDefinition {
    const all = this.all();
    const [only] = all;
    if (id === '' && only !== undefined && all.length === 1) return only;
    const found = this.#definitions.get(id);
    if (found !== undefined) return found;
    const known = this.#known();
    throw new DriverError(
      'INVALID_ARGUMENT',
      id === ''
        ? `parameter clusterID is missing and the driver knows several clusters: name one of ${known}`
        : `clusterID "${id}" is not a cluster of this driver: name one of ${known}, or add it to the driver's configuration`,
    );
  }

  #known(): string {
    return this.all()
      .map((cluster) => `"${cluster.id}"`)
      .join(', ');
  }
}

function byId(definitions: readonly ClusterDefinition[]): ReadonlyMap<string, ClusterDefinition> {
  return new Map(definitions.map((definition) => [definition.id, definition]));
}

/** How to connect: with the request's credentials, else with the cluster's own. */
export function accessTo(cluster: ClusterDefinition, credentials?: Credentials): CephAccess {
  const where = {
    clusterId: cluster.id,
    ...(cluster.monitors === undefined ? {} : { monitors: cluster.monitors }),
    ...(cluster.cephConf === undefined ? {} : { cephConf: cluster.cephConf }),
    timeouts: cluster.timeouts,
  };
  const own = credentials ?? cluster.credentials;
  if (own !== undefined) return { ...where, user: own.user, key: own.key };
  return { ...where, user: cluster.user, ...(cluster.keyring === undefined ? {} : { keyring: cluster.keyring }) };
}
