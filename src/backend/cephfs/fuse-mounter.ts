import type { Exec, MounterLike } from 'mount-utils-ts';
import { DriverError } from '../../domain/errors.js';
import type { DaemonHost } from '../../platform/daemons.js';
import type { CephfsMounter } from './mounter.js';

export interface FuseMounterDependencies {
  readonly exec: Exec;
  readonly mounter: MounterLike;
  readonly daemons: DaemonHost;
}

/** ceph-fuse(8), one daemon per mounted volume. */
export class FuseMounter implements CephfsMounter {
  readonly kind = 'fuse';
  readonly #deps: FuseMounterDependencies;

  constructor(deps: FuseMounterDependencies) {
    this.#deps = deps;
  }

  async objection(): Promise<string | undefined> {
    return Promise.resolve(this.#deps === undefined ? '' : 'not built yet');
  }
  isVolume(): boolean {
    return false;
  }
  async mount(): Promise<void> {
    return Promise.reject(new DriverError('UNIMPLEMENTED', 'not built yet'));
  }
  async release(): Promise<void> {
    return Promise.resolve();
  }
  async isServed(): Promise<boolean> {
    return Promise.resolve(false);
  }
}
