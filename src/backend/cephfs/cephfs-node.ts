import type { MounterLike } from 'mount-utils-ts';
import type { CephClient } from '../../ceph/client.js';
import type { Clusters } from '../../ceph/clusters.js';
import { DriverError } from '../../domain/errors.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { NodeBackend, StagedVolume } from '../backend.js';
import type { CephfsMounter } from './mounter.js';

export interface CephfsNodeDependencies {
  readonly clusters: Clusters;
  readonly ceph: CephClient;
  readonly mounter: MounterLike;
  /** In the order in which `auto` tries them. */
  readonly mounters: readonly CephfsMounter[];
}

/** CephFS directories behind the Node service. */
export class CephfsNode implements NodeBackend<CephfsVolumeId> {
  readonly kind = 'cephfs';
  readonly #deps: CephfsNodeDependencies;

  constructor(deps: CephfsNodeDependencies) {
    this.#deps = deps;
  }

  async stage(): Promise<void> {
    return Promise.reject(new DriverError('UNIMPLEMENTED', `not built yet ${String(this.#deps.mounters.length)}`));
  }
  async unstage(): Promise<void> {
    return Promise.resolve();
  }
  async isServed(): Promise<boolean> {
    return Promise.resolve(false);
  }
  async staged(): Promise<StagedVolume | undefined> {
    return Promise.resolve(undefined);
  }
}
