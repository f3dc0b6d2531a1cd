import type { Exec, MounterLike } from 'mount-utils-ts';
import { DriverError } from '../../domain/errors.js';
import type { CephfsMounter } from './mounter.js';

export interface KernelMounterDependencies {
  readonly exec: Exec;
  readonly mounter: MounterLike;
}

/** The kernel client (mount.ceph(8)). */
export class KernelMounter implements CephfsMounter {
  readonly kind = 'kernel';
  readonly #deps: KernelMounterDependencies;

  constructor(deps: KernelMounterDependencies) {
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
