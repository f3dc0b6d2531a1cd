import type { CallContext } from '../platform/call-context.js';
import { cephError, errno } from './ceph-error.js';
import type {
  ExpectedMetadata,
  ImageCreation,
  ImageHeader,
  ImageLayout,
  ImageSummary,
  ImageWatcher,
  RbdImages,
  TrashEntry,
} from './client.js';
import { stringAt } from './native/encoding.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { librados } from './native/librados.js';
import { librbd } from './native/librbd.js';
import { ImageCreator } from './rbd-image-creator.js';
import {
  announce,
  deleteMetadata,
  isWatched,
  listDirectory,
  readHeader,
  readImageId,
  writeMetadata,
} from './rbd-header.js';
import { readSummaries, summariesPerJob } from './rbd-summaries.js';
import type { RunOptions } from './native-lane.js';
import { inPool, type PoolHandle } from './pool-handle.js';

/** librbd.h, rbd_image_info_t: size, object size and object count (u64), int order, ... */
const imageInfoBytes = 160;

/** RBD images of one pool and namespace. */
export class RbdPoolImages implements RbdImages {
  readonly #handle: PoolHandle;
  readonly #creator: ImageCreator;

  constructor(handle: PoolHandle) {
    this.#handle = handle;
    this.#creator = new ImageCreator(handle);
  }

  async create(ctx: CallContext, name: string, image: ImageCreation): Promise<boolean> {
    const doing = `create image ${this.#spec(name)}`;
    return this.#value(ctx, doing, async () => this.#creator.create(doing, name, image));
  }

  async complete(ctx: CallContext, name: string, image: ImageCreation): Promise<boolean> {
    const doing = `complete image ${this.#spec(name)}`;
    return this.#value(ctx, doing, async () => this.#creator.complete(doing, name, image));
  }

  async removeUnfinished(ctx: CallContext, name: string): Promise<void> {
    const doing = `remove what a create of image ${this.#spec(name)} has left`;
    await this.#value(ctx, doing, async () => this.#creator.clear(doing, name));
  }

  async id(ctx: CallContext, name: string): Promise<string> {
    return this.#value(ctx, `find image ${this.#spec(name)}`, async () => readImageId(this.#handle, name));
  }

  async header(ctx: CallContext, name: string, metadataKeys: readonly string[]): Promise<ImageHeader> {
    return this.#value(ctx, `read image ${this.#spec(name)}`, async () =>
      readHeader(this.#handle, await readImageId(this.#handle, name), metadataKeys),
    );
  }

  async headerById(ctx: CallContext, id: string, metadataKeys: readonly string[]): Promise<ImageHeader> {
    return this.#value(ctx, `read image ${this.#spec(id)}`, async () => readHeader(this.#handle, id, metadataKeys));
  }

  async summaries(
    ctx: CallContext,
    ids: readonly string[],
    metadataKeys: readonly string[],
  ): Promise<(ImageSummary | undefined)[]> {
    const parts = Array.from({ length: Math.ceil(ids.length / summariesPerJob) }, (_, i) =>
      ids.slice(i * summariesPerJob, (i + 1) * summariesPerJob),
    );
    const doing = `read images of pool ${this.#handle.name}`;
    const found = await Promise.all(
      parts.map(async (part) => this.#value(ctx, doing, async () => readSummaries(this.#handle, part, metadataKeys))),
    );
    return found.flat();
  }

  async layout(ctx: CallContext, name: string): Promise<ImageLayout> {
    return this.#withImage(ctx, `read the layout of image ${this.#spec(name)}`, name, 'read', async (image) => {
      const number = async (read: (image: Pointer, value: Buffer) => Promise<number>) => {
        const value = Buffer.alloc(8);
        this.#check(await read(image, value), `read the layout of image ${this.#spec(name)}`);
        return value.readBigUInt64LE();
      };
      const stripeUnitBytes = await number(librbd().stripeUnit);
      const stripeCount = await number(librbd().stripeCount);
      const info = Buffer.alloc(imageInfoBytes);
      this.#check(await librbd().stat(image, info, info.length), `read the layout of image ${this.#spec(name)}`);
      const dataPool = await this.#dataPool(await librbd().dataPoolId(image));
      return { order: info.readInt32LE(24), stripeUnitBytes, stripeCount, dataPool };
    });
  }

  async list(ctx: CallContext, startAfter: string, max: number): Promise<Map<string, string>> {
    return this.#value(ctx, `list the images of pool ${this.#handle.name}`, async () =>
      listDirectory(this.#handle, startAfter, max),
    );
  }

  async setMetadata(
    ctx: CallContext,
    id: string,
    values: ReadonlyMap<string, string | null>,
    ...expected: readonly ExpectedMetadata[]
  ): Promise<boolean> {
    return this.#value(ctx, `write metadata of image ${this.#spec(id)}`, async () =>
      writeMetadata(this.#handle, id, values, expected),
    );
  }

  async removeMetadata(ctx: CallContext, id: string, key: string): Promise<void> {
    await this.#value(ctx, `remove metadata of image ${this.#spec(id)}`, async () =>
      deleteMetadata(this.#handle, id, key),
    );
  }

  async announce(ctx: CallContext, id: string): Promise<void> {
    await this.#value(ctx, `announce a change of image ${this.#spec(id)}`, async () => announce(this.#handle, id));
  }

  async grow(ctx: CallContext, name: string, sizeBytes: bigint): Promise<bigint> {
    const doing = `resize image ${this.#spec(name)}`;
    return this.#withImage(ctx, doing, name, 'write', async (image) => {
      // Looked at again here: librbd would cut an image that another controller has grown since the caller looked.
      const info = Buffer.alloc(imageInfoBytes);
      this.#check(await librbd().stat(image, info, info.length), doing);
      const currentBytes = info.readBigUInt64LE(0);
      if (currentBytes >= sizeBytes) return currentBytes;
      this.#check(await librbd().resize(image, sizeBytes), doing);
      return sizeBytes;
    });
  }

  async rename(ctx: CallContext, from: string, to: string): Promise<void> {
    await this.#job(ctx, `rename image ${this.#spec(from)} to ${to}`, async () =>
      librbd().rename(this.#handle.io, from, to),
    );
  }

  async remove(ctx: CallContext, name: string): Promise<void> {
    await this.#job(ctx, `remove image ${this.#spec(name)}`, async () => librbd().remove(this.#handle.io, name), {
      work: 'writing',
    });
  }

  async isWatched(ctx: CallContext, id: string): Promise<boolean> {
    return this.#value(ctx, `ask for the watchers of image ${this.#spec(id)}`, async () => isWatched(this.#handle, id));
  }

  async watchers(ctx: CallContext, name: string): Promise<ImageWatcher[]> {
    const doing = `list the watchers of image ${this.#spec(name)}`;
    // A read-only open doesn't watch: whoever is listed is somebody else.
    return this.#withImage(ctx, doing, name, 'read', async (image) => {
      const structBytes = 24; // librbd.h, rbd_image_watcher_t: char *addr, int64_t id, uint64_t cookie
      const rows = await growing(structBytes, async (buffer, count) => librbd().watchersList(image, buffer, count));
      if (rows.returned < 0) throw cephError(rows.returned, this.#handle.describe(doing));
      const watchers = indices(rows.count).map((i) => ({ address: stringAt(rows.buffer, i * structBytes) }));
      librbd().watchersListCleanup.sync(rows.buffer, rows.count);
      return watchers;
    });
  }

  async moveToTrash(ctx: CallContext, name: string): Promise<void> {
    const move = async () => librbd().trashMove(this.#handle.io, name, 0n);
    await this.#job(ctx, `move image ${this.#spec(name)} to the trash`, move, { work: 'writing' });
  }

  async listTrash(ctx: CallContext): Promise<TrashEntry[]> {
    const doing = `list the trash of pool ${this.#handle.name}`;
    return this.#value(ctx, doing, async () => {
      const structBytes = 40; // librbd.h, rbd_trash_image_info_t: char *id, char *name, source, two times
      const rows = await growing(structBytes, async (buffer, count) =>
        librbd().trashList(this.#handle.io, buffer, count),
      );
      if (rows.returned < 0) throw cephError(rows.returned, this.#handle.describe(doing));
      const entries = indices(rows.count).map((i) => ({
        id: stringAt(rows.buffer, i * structBytes),
        name: stringAt(rows.buffer, i * structBytes + 8),
      }));
      librbd().trashListCleanup.sync(rows.buffer, rows.count);
      return entries;
    });
  }

  async removeFromTrash(ctx: CallContext, id: string): Promise<void> {
    await this.#job(
      ctx,
      `remove image ${this.#spec(id)} from the trash`,
      async () => librbd().trashRemove(this.#handle.io, id, false),
      { work: 'writing', isBackground: true },
    );
  }

  async #job(ctx: CallContext, doing: string, call: () => Promise<number>, options?: RunOptions): Promise<void> {
    const job = async () => {
      this.#check(await call(), doing);
    };
    await inPool(this.#handle, ctx, doing, job, options);
  }

  async #value<T>(ctx: CallContext, doing: string, job: () => Promise<T>): Promise<T> {
    return inPool(this.#handle, ctx, doing, job);
  }

  async #withImage<T>(
    ctx: CallContext,
    doing: string,
    name: string,
    mode: 'read' | 'write',
    work: (image: Pointer) => Promise<T>,
  ): Promise<T> {
    const job = async () => {
      const opened: PointerOut = [null];
      const open = mode === 'read' ? librbd().openReadOnly : librbd().open;
      this.#check(await open(this.#handle.io, name, opened, null), doing);
      try {
        return await work(written(opened));
      } finally {
        await librbd().close(written(opened));
      }
    };
    return inPool(this.#handle, ctx, doing, job, { work: mode === 'read' ? 'short' : 'writing' });
  }

  #check(returned: number, doing: string): void {
    if (returned < 0) throw cephError(returned, this.#handle.describe(doing));
  }

  #spec(image: string): string {
    const { name, namespace } = this.#handle;
    return namespace === '' ? `${name}/${image}` : `${name}/${namespace}/${image}`;
  }

  async #dataPool(id: number): Promise<string | undefined> {
    if (id < 0 || id === librados().ioPoolId.sync(this.#handle.io)) return undefined;
    const name = Buffer.alloc(256);
    const doing = `find the name of pool ${id}`;
    this.#check(await librados().poolName(this.#handle.cluster, id, name, name.length), doing);
    return name.toString('utf8', 0, name.indexOf(0));
  }
}

interface Rows {
  readonly returned: number;
  readonly buffer: Buffer;
  readonly count: number;
}

/** librbd's lists fill an array and answer ERANGE with the count that they need. */
async function growing(structBytes: number, list: (buffer: Buffer, count: Buffer) => Promise<number>): Promise<Rows> {
  let capacity = 64;
  for (;;) {
    const buffer = Buffer.alloc(structBytes * capacity);
    const count = Buffer.alloc(8);
    count.writeBigUInt64LE(BigInt(capacity));
    const returned = await list(buffer, count);
    const needed = Number(count.readBigUInt64LE());
    if (returned !== -errno.ERANGE) return { returned, buffer, count: returned < 0 ? 0 : needed };
    capacity = Math.max(needed, capacity * 2);
  }
}

function indices(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
