import type { CephClient } from '../../ceph/client.js';
import type { Clusters } from '../../ceph/clusters.js';
import { DriverError } from '../../domain/errors.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { Logger } from '../../platform/logger.js';
import type { Capacity, ControllerBackend, Volume, VolumePage, VolumePlan } from '../backend.js';

export interface CephfsControllerDependencies {
  readonly clusters: Clusters;
  readonly ceph: CephClient;
  readonly log: Logger;
}

/** CephFS directories behind the Controller service. */
export class CephfsController implements ControllerBackend<CephfsVolumeId> {
  readonly kind = 'cephfs';
  readonly #deps: CephfsControllerDependencies;

  constructor(deps: CephfsControllerDependencies) {
    this.#deps = deps;
  }

  planVolume(): VolumePlan<CephfsVolumeId> {
    throw new DriverError('UNIMPLEMENTED', `not built yet: ${String(this.#deps.clusters.all().length)}`);
  }
  async deleteVolume(): Promise<void> {
    return Promise.resolve();
  }
  async findVolume(): Promise<Volume | undefined> {
    return Promise.resolve(undefined);
  }
  objection(): string | undefined {
    return undefined;
  }
  async capacity(): Promise<Capacity> {
    return Promise.reject(new DriverError('UNIMPLEMENTED', 'not built yet'));
  }
  async listVolumes(): Promise<VolumePage> {
    return Promise.resolve({ volumes: [], next: undefined });
  }
  resumeBackgroundWork(): void {
    // nothing yet
  }
  async close(): Promise<void> {
    return Promise.resolve();
  }
}
