import type { CallContext } from '../platform/call-context.js';
import { type CephCall, cephError, errno, isCephError } from './ceph-error.js';
import type { CephPool } from './client.js';
import type { Pointer } from './native/library.js';
import { librados } from './native/librados.js';
import type { NativeLane } from './native-lane.js';
import { OmapObjects } from './rados-omap.js';
import { RbdPoolImages } from './rbd-images.js';

/** What the parts of one opened pool share. */
export interface PoolHandle {
  readonly name: string;
  readonly namespace: string;
  readonly cluster: Pointer;
  readonly io: Pointer;
  readonly lane: NativeLane;
  readonly describe: (doing: string) => CephCall;
}

/** One pool and namespace, opened on one connection. */
export class RadosPool implements CephPool {
  readonly name: string;
  readonly namespace: string;
  readonly omap: OmapObjects;
  readonly images: RbdPoolImages;
  readonly #handle: PoolHandle;
  #stale = false;

  constructor(handle: PoolHandle) {
    this.name = handle.name;
    this.namespace = handle.namespace;
    this.#handle = handle;
    this.omap = new OmapObjects(handle);
    this.images = new RbdPoolImages(handle, async () => this.#checkStale());
  }

  /** The pool was deleted, or deleted and made again: this handle speaks to the old one. */
  get stale(): boolean {
    return this.#stale;
  }

  async lock(ctx: CallContext, object: string, name: string, cookie: string, durationMs: number): Promise<boolean> {
    const call = this.#handle.describe(`lock ${this.name}/${object}`);
    const duration = Buffer.alloc(16);
    duration.writeBigInt64LE(BigInt(Math.ceil(durationMs / 1000)), 0);
    return this.#handle.lane.run(ctx, call, async () => {
      const mayRenew = 1;
      const returned = await librados().lockExclusive(
        this.#handle.io,
        object,
        name,
        cookie,
        'cuttle',
        duration,
        mayRenew,
      );
      if (returned === -errno.EBUSY || returned === -errno.EEXIST) return false;
      if (returned < 0) throw cephError(returned, call);
      return true;
    });
  }

  async unlock(ctx: CallContext, object: string, name: string, cookie: string): Promise<void> {
    const call = this.#handle.describe(`unlock ${this.name}/${object}`);
    await this.#handle.lane.run(ctx, call, async () => {
      const returned = await librados().unlock(this.#handle.io, object, name, cookie);
      if (returned < 0 && returned !== -errno.ENOENT) throw cephError(returned, call);
    });
  }

  close(): void {
    librados().closeIo.sync(this.#handle.io);
  }

  /** Called after ENOENT inside a job of the lane: is it the pool itself that is gone? */
  async #checkStale(): Promise<boolean> {
    const current = await librados().poolLookup(this.#handle.cluster, this.name);
    this.#stale = current !== librados().ioPoolId.sync(this.#handle.io);
    return this.#stale;
  }
}

/** undefined instead of a CephError with ENOENT. */
export async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isCephError(error, errno.ENOENT)) return undefined;
    throw error;
  }
}
