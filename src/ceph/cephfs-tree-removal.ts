import pLimit from 'p-limit';
import type { CallContext } from '../platform/call-context.js';
import { Branches } from './branches.js';
import { CephError, errno } from './ceph-error.js';
import { readBatch, zeroTerminated } from './cephfs-directory.js';
import type { CephFsMount } from './cephfs-mount.js';
import type { TreeRemoval } from './client.js';
import { splitPath } from './file-system-path.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { libcephfs, noFollow, statxBytes } from './native/libcephfs.js';
import { ProgressWatch } from './progress-watch.js';
import { settled } from './settled.js';

/** A directory that can't be removed after so many passes over it without a success is beyond us. */
const maxFruitlessPasses = 10;
const snapshotsName = '.snap';
/** Of snapshots taken further up: `_NAME_INODE`. No other name may begin so. */
const inheritedMark = '_'.charCodeAt(0);

/** Removes a tree: see CephFileSystem.removeTree. */
export async function removeTree(
  mount: CephFsMount,
  ctx: CallContext,
  path: string,
  how: TreeRemoval,
): Promise<number> {
  const { parent, name } = splitPath(mount.path(path));
  const doing = `remove ${path}`;
  if (name === '') throw new CephError('INVALID_ARGUMENT', `can't ${doing}: it is the mounted root`, errno.EINVAL);
  const watch = new ProgressWatch(ctx.signal, mount.silenceMs);
  try {
    return await mount.labour({ ...ctx, signal: watch.signal }, doing, async () => {
      const removal = new Removal(mount, doing, how, watch);
      const inode = await removal.find(parent);
      if (inode === undefined) return 0;
      try {
        await removal.remove(inode, Buffer.from(name, 'utf8'));
        return removal.count;
      } finally {
        await libcephfs().putInode(mount.handle, inode);
      }
    });
  } finally {
    watch.end();
  }
}

/**
 * Goes by inode and name, never by path: nobody who still writes in the tree can lead it elsewhere by a symbolic link. In memory
 * are the directories on the way down, for as many branches as there may be calls at the same time, and one batch of names each.
 */
class Removal {
  count = 0;
  readonly #mount: CephFsMount;
  readonly #doing: string;
  readonly #how: TreeRemoval;
  readonly #watch: ProgressWatch;
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #branches: Branches;

  constructor(mount: CephFsMount, doing: string, how: TreeRemoval, watch: ProgressWatch) {
    this.#mount = mount;
    this.#doing = doing;
    this.#how = how;
    this.#watch = watch;
    this.#limit = pLimit(how.concurrency);
    this.#branches = new Branches(how.concurrency);
  }

  async find(path: string): Promise<Pointer | undefined> {
    return this.#inode(async (out, status) =>
      libcephfs().walk(this.#mount.handle, path, out, status, 0, noFollow, this.#mount.permissions),
    );
  }

  /** Whatever it is. One that isn't there any more is somebody else's work. */
  async remove(parent: Pointer, name: Buffer): Promise<void> {
    const bytes = zeroTerminated(name);
    const { handle, permissions } = this.#mount;
    const returned = await this.#call(async () => libcephfs().unlinkIn(handle, parent, bytes, permissions));
    if (returned === -errno.EISDIR) await this.#removeDirectory(parent, name);
    else this.#removed(returned);
  }

  async #removeDirectory(parent: Pointer, name: Buffer): Promise<void> {
    const bytes = zeroTerminated(name);
    const { handle, permissions } = this.#mount;
    const inode = await this.#lookUp(parent, bytes);
    if (inode === undefined) return;
    try {
      for (let fruitless = 0; fruitless < maxFruitlessPasses; fruitless += 1) {
        const before = this.count;
        const seen = await this.#removeEntries(inode);
        const returned = await this.#call(async () =>
          libcephfs().removeDirectoryIn(handle, parent, bytes, permissions),
        );
        // Somebody has put another thing in its place.
        if (returned === -errno.ENOTDIR) {
          await this.remove(parent, name);
          return;
        }
        if (returned !== -errno.ENOTEMPTY) {
          this.#removed(returned);
          return;
        }
        if (seen === 0) await this.#removeSnapshots(inode);
        if (this.count > before) fruitless = 0;
      }
      this.#mount.check(-errno.ENOTEMPTY, this.#doing);
    } finally {
      await libcephfs().putInode(handle, inode);
    }
  }

  /** One pass over a directory. @returns how many entries it saw. */
  async #removeEntries(inode: Pointer): Promise<number> {
    let seen = 0;
    await this.#eachBatch(inode, async (batch) => {
      seen += batch.length;
      const files = batch.filter((entry) => !entry.isDirectory);
      await settled(files.map(async ({ name }) => this.remove(inode, name)));
      const directories = batch.filter((entry) => entry.isDirectory);
      await this.#branches.goDown(
        directories.map(
          ({ name }) =>
            async () =>
              this.#removeDirectory(inode, name),
        ),
      );
    });
    return seen;
  }

  async #removeSnapshots(inode: Pointer): Promise<void> {
    const { handle, permissions } = this.#mount;
    const snapshots = await this.#lookUp(inode, zeroTerminated(snapshotsName));
    if (snapshots === undefined) return;
    try {
      await this.#eachBatch(snapshots, async (batch) => {
        for (const { name } of batch.filter((entry) => entry.name[0] !== inheritedMark)) {
          const bytes = zeroTerminated(name);
          const returned = await this.#call(async () =>
            libcephfs().removeDirectoryIn(handle, snapshots, bytes, permissions),
          );
          if (returned !== -errno.ENOENT) this.#mount.check(returned, this.#doing);
        }
      });
    } finally {
      await libcephfs().putInode(handle, snapshots);
    }
  }

  async #eachBatch(
    inode: Pointer,
    work: (batch: NonNullable<Awaited<ReturnType<typeof readBatch>>>) => Promise<void>,
  ): Promise<void> {
    const { handle, permissions } = this.#mount;
    const opened: PointerOut = [null];
    const returned = await this.#call(async () => libcephfs().openInode(handle, inode, opened, permissions));
    if (returned === -errno.ENOENT || returned === -errno.ENOTDIR) return;
    this.#mount.check(returned, this.#doing);
    const directory = written(opened);
    try {
      for (;;) {
        await this.#how.pause?.();
        const batch = await this.#call(async () => readBatch(this.#mount, directory, this.#doing));
        if (batch === undefined) return;
        await work(batch);
      }
    } finally {
      await libcephfs().closeDirectory(handle, directory);
    }
  }

  async #lookUp(parent: Pointer, name: Buffer): Promise<Pointer | undefined> {
    return this.#inode(async (out, status) =>
      libcephfs().lookUp(this.#mount.handle, parent, name, out, status, 0, noFollow, this.#mount.permissions),
    );
  }

  /** undefined when it isn't there. Whoever gets one gives it back. */
  async #inode(find: (out: PointerOut, status: Buffer) => Promise<number>): Promise<Pointer | undefined> {
    const out: PointerOut = [null];
    const returned = await this.#call(async () => find(out, Buffer.alloc(statxBytes)));
    if (returned === -errno.ENOENT) return undefined;
    this.#mount.check(returned, this.#doing);
    return written(out);
  }

  #removed(returned: number): void {
    if (returned === -errno.ENOENT) return;
    this.#mount.check(returned, this.#doing);
    this.count += 1;
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    return this.#limit(async () => this.#watch.during(async () => this.#mount.enter(call)));
  }
}
