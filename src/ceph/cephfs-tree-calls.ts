import { constants } from 'node:fs';
import pLimit from 'p-limit';
import { CephError, errno } from './ceph-error.js';
import { type RawEntry, readBatch, zeroTerminated } from './cephfs-directory.js';
import type { CephFsMount } from './cephfs-mount.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { libcephfs, noFollow, statxAt, statxBytes, statxWant } from './native/libcephfs.js';
import type { ProgressWatch } from './progress-watch.js';

/** Where something lies in a tree: the same in the source and in the copy. The top has no parent. */
export interface Place {
  readonly parent?: Place;
  readonly name: Buffer;
}

export interface Found {
  readonly inode: Pointer;
  /** struct ceph_statx */
  readonly status: Buffer;
}

export function fileType(status: Buffer): number {
  return status.readUInt16LE(statxAt.mode) & constants.S_IFMT;
}

export function isDirectory(status: Buffer): boolean {
  return fileType(status) === constants.S_IFDIR;
}

/** The native calls of one copy: by inode and name, so many at a time, and none any more once one has failed. */
export class TreeCalls {
  readonly mount: CephFsMount;
  readonly #from: string;
  readonly #to: string;
  readonly #watch: ProgressWatch;
  readonly #limit: ReturnType<typeof pLimit>;
  #failure: { readonly error: unknown } | undefined;

  constructor(mount: CephFsMount, paths: { from: string; to: string }, watch: ProgressWatch, concurrency: number) {
    this.mount = mount;
    this.#from = paths.from;
    this.#to = paths.to;
    this.#watch = watch;
    this.#limit = pLimit(concurrency);
  }

  /** What the call returns, errors too. @throws what ended the copy. */
  async call<T>(call: () => Promise<T>): Promise<T> {
    return this.#limit(async () => {
      if (this.#failure !== undefined) throw this.#failure.error;
      return this.#watch.during(async () => this.mount.enter(call));
    });
  }

  /** @throws CephError naming the place, when the call returns an error. */
  async must(place: Place, call: () => Promise<number>): Promise<number> {
    return this.check(place, await this.call(call));
  }

  check(place: Place, returned: number): number {
    if (returned === -errno.ENOENT) throw this.changed(place, 'has vanished');
    return this.mount.check(returned, this.#doing(place));
  }

  /** Lets no further call begin. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** What the source did while it was read, e.g. `has vanished`. */
  changed(place: Place, what: string): CephError {
    const sentence = `can't ${this.#doing(place)}: it ${what} meanwhile; a snapshot has to stay until its copy is whole`;
    return new CephError('ABORTED', sentence, errno.EAGAIN);
  }

  /** By a path below the mounted root. */
  async find(place: Place, path: string): Promise<Found> {
    const out: PointerOut = [null];
    const status = Buffer.alloc(statxBytes);
    const { handle, permissions } = this.mount;
    const want = statxWant.basic;
    const returned = await this.call(async () =>
      libcephfs().walk(handle, path, out, status, want, noFollow, permissions),
    );
    this.mount.check(returned, this.#doing(place));
    return { inode: written(out), status };
  }

  /**
   * undefined when it isn't there. Whoever gets one gives it back. In a snapshot the MDS is asked, which waits for what its writers
   * have yet to bring: readdir, with or without the status of the entries, does not, and says what files were a moment before.
   */
  async lookUp(place: Place, parent: Pointer): Promise<Found | undefined> {
    const out: PointerOut = [null];
    const status = Buffer.alloc(statxBytes);
    const name = zeroTerminated(place.name);
    const { handle, permissions } = this.mount;
    const want = statxWant.basic;
    const returned = await this.call(async () =>
      libcephfs().lookUp(handle, parent, name, out, status, want, noFollow, permissions),
    );
    if (returned === -errno.ENOENT) return undefined;
    this.check(place, returned);
    return { inode: written(out), status };
  }

  /** Of the target's: in a snapshot, the library would answer with what it has. */
  async statusOf(place: Place, inode: Pointer): Promise<Buffer> {
    const status = Buffer.alloc(statxBytes);
    const { handle, permissions } = this.mount;
    await this.must(place, async () => libcephfs().statusOf(handle, inode, status, statxWant.basic, 0, permissions));
    return status;
  }

  async giveBack(inode: Pointer): Promise<void> {
    await libcephfs().putInode(this.mount.handle, inode);
  }

  /** As this user, something that is new belongs to him in the request that makes it. */
  async asOwner<T>(status: Buffer, work: (owner: Pointer) => Promise<T>): Promise<T> {
    const uid = status.readUInt32LE(statxAt.uid);
    const gid = status.readUInt32LE(statxAt.gid);
    const owner = libcephfs().newPermissions(uid, gid, 0, null);
    try {
      return await work(owner);
    } finally {
      libcephfs().destroyPermissions.sync(owner);
    }
  }

  /** Opens a file. Whoever gets it closes it. */
  async open(place: Place, inode: Pointer, flags: number): Promise<Pointer> {
    const out: PointerOut = [null];
    const { handle, permissions } = this.mount;
    await this.must(place, async () => libcephfs().openFile(handle, inode, flags, out, permissions));
    return written(out);
  }

  async close(file: Pointer): Promise<number> {
    return libcephfs().closeFile(this.mount.handle, file);
  }

  async remove(place: Place, parent: Pointer): Promise<void> {
    const name = zeroTerminated(place.name);
    const { handle, permissions } = this.mount;
    await this.must(place, async () => libcephfs().unlinkIn(handle, parent, name, permissions));
  }

  async eachBatch(place: Place, directory: Pointer, work: (batch: readonly RawEntry[]) => Promise<void>) {
    const { handle, permissions } = this.mount;
    const doing = this.#doing(place);
    const opened: PointerOut = [null];
    await this.must(place, async () => libcephfs().openInode(handle, directory, opened, permissions));
    const reading = written(opened);
    try {
      for (;;) {
        const batch = await this.call(async () => readBatch(this.mount, reading, doing));
        if (batch === undefined) return;
        await work(batch);
      }
    } finally {
      await libcephfs().closeDirectory(handle, reading);
    }
  }

  #doing(place: Place): string {
    return `copy ${this.#path(place)} to ${this.#to}`;
  }

  #path(place: Place): string {
    const names: string[] = [];
    for (let at = place; at.parent !== undefined; at = at.parent) names.unshift(at.name.toString('utf8'));
    return [this.#from, ...names].join('/');
  }
}
