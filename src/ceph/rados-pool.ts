import type { CallContext } from '../platform/call-context.js';
import { cephError, errno } from './ceph-error.js';
import type { CephPool } from './client.js';
import { librados } from './native/librados.js';
import { inPool, type PoolHandle } from './pool-handle.js';
import { OmapObjects } from './rados-omap.js';
import { RbdPoolImages } from './rbd-images.js';

/** One pool and namespace, opened on one connection. */
export class RadosPool implements CephPool {
  readonly name: string;
  readonly namespace: string;
  readonly omap: OmapObjects;
  readonly images: RbdPoolImages;
  readonly #handle: PoolHandle;

  constructor(handle: PoolHandle) {
    this.name = handle.name;
    this.namespace = handle.namespace;
    this.#handle = handle;
    this.omap = new OmapObjects(handle);
    this.images = new RbdPoolImages(handle);
  }

  /** The pool was deleted, or deleted and made again: this handle speaks to the old one. */
  get stale(): boolean {
    return this.#handle.stale;
  }

  async lock(ctx: CallContext, object: string, name: string, cookie: string, durationMs: number): Promise<boolean> {
    const doing = `lock ${this.name}/${object}`;
    const duration = Buffer.alloc(16); // struct timeval
    duration.writeBigInt64LE(BigInt(Math.ceil(durationMs / 1000)), 0);
    return inPool(this.#handle, ctx, doing, async () => {
      const { io, describe } = this.#handle;
      const mayRenew = 1;
      const returned = await librados().lockExclusive(io, object, name, cookie, 'cuttle', duration, mayRenew);
      if (returned === -errno.EBUSY || returned === -errno.EEXIST) return false;
      if (returned < 0) throw cephError(returned, describe(doing));
      return true;
    });
  }

  async unlock(ctx: CallContext, object: string, name: string, cookie: string): Promise<void> {
    const doing = `unlock ${this.name}/${object}`;
    await inPool(this.#handle, ctx, doing, async () => {
      const returned = await librados().unlock(this.#handle.io, object, name, cookie);
      if (returned < 0 && returned !== -errno.ENOENT) throw cephError(returned, this.#handle.describe(doing));
    });
  }

  /** Only when nothing runs on it any more. */
  close(): void {
    librados().closeIo.sync(this.#handle.io);
  }
}
