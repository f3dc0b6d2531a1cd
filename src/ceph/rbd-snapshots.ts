import type { CallContext } from '../platform/call-context.js';
import { cephError, errno } from './ceph-error.js';
import type { CephPool, FlattenOptions, ImageClone, ImageParent, RbdSnapshot, RbdSnapshots } from './client.js';
import { Decoder, encodeString, stringAt } from './native/encoding.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { librados } from './native/librados.js';
import { librbd, progressCallback } from './native/librbd.js';
import type { Work } from './native-lane.js';
import { inPool, type PoolHandle } from './pool-handle.js';
import { withImageOptions } from './rbd-image-options.js';
import { readParent } from './rbd-parent.js';

/** librbd.h: struct sizes and where the fields lie. */
const snapshotInfo = { bytes: 24, id: 0, size: 8, name: 16 } as const;
/** librbd.h, RBD_SNAP_NAMESPACE_TYPE_USER; others are groups' and those that only clones still need. */
const userNamespace = 0;
const cloneFormat = 2n;

/** Snapshots of the images of one pool and namespace. */
export class RbdPoolSnapshots implements RbdSnapshots {
  readonly #handle: PoolHandle;
  /** Of a pool that a clone goes into: it is this library's own. */
  readonly #handleOf: (pool: CephPool) => PoolHandle;

  constructor(handle: PoolHandle, handleOf: (pool: CephPool) => PoolHandle) {
    this.#handle = handle;
    this.#handleOf = handleOf;
  }

  async create(ctx: CallContext, imageId: string, name: string): Promise<void> {
    const doing = `take snapshot ${name} of image ${this.#spec(imageId)}`;
    await this.#withImage(ctx, doing, imageId, 'writing', async (image) => {
      this.#check(await librbd().createSnapshot(image, name), doing);
    });
  }

  async list(ctx: CallContext, imageId: string): Promise<RbdSnapshot[]> {
    const doing = `list the snapshots of image ${this.#spec(imageId)}`;
    return this.#withImage(ctx, doing, imageId, 'short', async (image) => this.#listed(image, doing));
  }

  async remove(ctx: CallContext, imageId: string, name: string): Promise<void> {
    const doing = `remove snapshot ${name} of image ${this.#spec(imageId)}`;
    await this.#withImage(ctx, doing, imageId, 'writing', async (image) => {
      this.#check(await librbd().removeSnapshot(image, name), doing);
    });
  }

  async clone(
    ctx: CallContext,
    imageId: string,
    name: string,
    into: CephPool,
    child: string,
    image: ImageClone,
  ): Promise<void> {
    const doing = `clone ${this.#spec(imageId)}@${name} to image ${into.name}/${child}`;
    const target = this.#handleOf(into);
    await inPool(
      target,
      ctx,
      doing,
      async () => {
        const parent = await this.#nameOf(imageId, doing);
        await withImageOptions({ ...image, cloneFormat }, async (options) => {
          this.#check(await librbd().clone(this.#handle.io, parent, name, target.io, child, options), doing);
        });
      },
      { work: 'writing' },
    );
  }

  async parent(ctx: CallContext, imageId: string, snapshotId?: bigint): Promise<ImageParent | undefined> {
    const doing = `find the parent of image ${this.#spec(imageId)}`;
    return inPool(this.#handle, ctx, doing, async () => readParent(this.#handle, imageId, snapshotId));
  }

  async flatten(ctx: CallContext, imageId: string, options: FlattenOptions): Promise<void> {
    const doing = `flatten image ${this.#spec(imageId)}`;
    const { onProgress, stop } = options;
    const work = async (image: Pointer) => {
      const progress = progressCallback((done, total) => {
        onProgress(done, total);
        return stop.aborted || ctx.signal.aborted ? -errno.ECANCELED : 0;
      });
      try {
        this.#check(await librbd().flatten(image, progress.address, null), doing);
      } finally {
        progress.release();
      }
    };
    await this.#withImage(ctx, doing, imageId, 'writing', work, true);
  }

  async #listed(image: Pointer, doing: string): Promise<RbdSnapshot[]> {
    for (let capacity = 32; ; capacity *= 4) {
      const rows = Buffer.alloc(snapshotInfo.bytes * capacity);
      const count = Buffer.alloc(4);
      count.writeInt32LE(capacity);
      const returned = await librbd().listSnapshots(image, rows, count);
      if (returned === -errno.ERANGE) continue;
      this.#check(returned, doing);
      const all = Array.from({ length: returned }, (_, i) => ({
        id: rows.readBigUInt64LE(i * snapshotInfo.bytes + snapshotInfo.id),
        sizeBytes: rows.readBigUInt64LE(i * snapshotInfo.bytes + snapshotInfo.size),
        name: stringAt(rows, i * snapshotInfo.bytes + snapshotInfo.name),
      }));
      if (returned > 0) librbd().endSnapshotList.sync(rows);
      const found: RbdSnapshot[] = [];
      for (const { id, name, sizeBytes } of all) {
        if ((await this.#namespaceOf(image, id, doing)) !== userNamespace) continue;
        found.push({ id, name, sizeBytes, createdMs: await this.#createdMs(image, id, doing) });
      }
      return found;
    }
  }

  async #namespaceOf(image: Pointer, id: bigint, doing: string): Promise<number> {
    const type = Buffer.alloc(4);
    this.#check(await librbd().snapshotNamespace(image, id, type), doing);
    return type.readInt32LE();
  }

  async #createdMs(image: Pointer, id: bigint, doing: string): Promise<number> {
    const time = Buffer.alloc(16); // struct timespec
    this.#check(await librbd().snapshotTime(image, id, time), doing);
    return Number(time.readBigInt64LE(0)) * 1_000 + Math.floor(Number(time.readBigInt64LE(8)) / 1e6);
  }

  /** librbd clones by the parent's name, which the pool's directory knows. Runs inside a job. */
  async #nameOf(imageId: string, doing: string): Promise<string> {
    const input = encodeString(imageId);
    const output = Buffer.alloc(4_096);
    const length = await librados().exec(
      this.#handle.io,
      'rbd_directory',
      'rbd',
      'dir_get_name',
      input,
      input.length,
      output,
      output.length,
    );
    this.#check(length, doing);
    return new Decoder(output.subarray(0, length)).string();
  }

  async #withImage<T>(
    ctx: CallContext,
    doing: string,
    imageId: string,
    work: Exclude<Work, 'long'>,
    use: (image: Pointer) => Promise<T>,
    isBackground = false,
  ): Promise<T> {
    const job = async () => {
      const opened: PointerOut = [null];
      const open = work === 'short' ? librbd().openByIdReadOnly : librbd().openById;
      this.#check(await open(this.#handle.io, imageId, opened, null), doing);
      try {
        return await use(written(opened));
      } finally {
        await librbd().close(written(opened));
      }
    };
    return inPool(this.#handle, ctx, doing, job, { work, isBackground });
  }

  #check(returned: number, doing: string): void {
    if (returned < 0) throw cephError(returned, this.#handle.describe(doing));
  }

  #spec(image: string): string {
    const { name, namespace } = this.#handle;
    return namespace === '' ? `${name}/${image}` : `${name}/${namespace}/${image}`;
  }
}
