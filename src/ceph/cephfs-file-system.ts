import { isUtf8 } from 'node:buffer';
import { constants } from 'node:fs';
import type { CallContext } from '../platform/call-context.js';
import { errno, ifPresent } from './ceph-error.js';
import { deleteAttribute, listAttributes, readAttribute, writeAttribute } from './cephfs-attributes.js';
import { createDirectory } from './cephfs-create.js';
import { readBatch } from './cephfs-directory.js';
import { readPart } from './cephfs-directory-part.js';
import { FileLocks } from './cephfs-locks.js';
import type { CephFsMount } from './cephfs-mount.js';
import { settled } from './settled.js';
import { TreeCopies } from './cephfs-tree-copy.js';
import { removeTree } from './cephfs-tree-removal.js';
import type {
  CephFileSystem,
  DirectoryCreation,
  DirectoryEntry,
  DirectoryPart,
  FileStatus,
  TreeCopy,
  TreeRemoval,
} from './client.js';
import { type PointerOut, written } from './native/library.js';
import { libcephfs, noFollow, statxAt, statxBytes, statxWant } from './native/libcephfs.js';

/** Several may make the directories of one path at the same time, each a part of it. */
const mostTries = 5;

/** Operations on one mounted file system; paths are the file system's, whatever its mounted root is. */
export class MountedFileSystem implements CephFileSystem {
  readonly name: string;
  readonly root: string;
  readonly #mount: CephFsMount;
  readonly #locks: FileLocks;
  readonly #copies: TreeCopies;

  constructor(mount: CephFsMount) {
    this.name = mount.fileSystem;
    this.root = mount.root;
    this.#mount = mount;
    this.#locks = new FileLocks(mount);
    this.#copies = new TreeCopies(mount);
  }

  /** The MDS has ended this client's session: a new mount is needed. */
  get stale(): boolean {
    return this.#mount.stale;
  }

  get idleMs(): number {
    return this.#mount.idleMs;
  }

  async makeDirectory(ctx: CallContext, path: string, directory: DirectoryCreation): Promise<void> {
    const doing = `make directory ${path}`;
    await this.#at(ctx, doing, path, async (local) => createDirectory(this.#mount, local, directory, doing));
  }

  async makeDirectories(ctx: CallContext, path: string, mode: number): Promise<void> {
    const doing = `make directory ${path}`;
    await this.#at(ctx, doing, path, async (local) => {
      for (let tries = 1; ; tries++) {
        const returned = await libcephfs().makeDirectories(this.#mount.handle, local, mode);
        // Somebody has just made one of them: the library gives up where it should go on.
        if (returned !== -errno.EEXIST || tries === mostTries) {
          this.#mount.check(returned, doing);
          return;
        }
        if ((await ifPresent(this.#statusOf(local, doing)))?.isDirectory === true) return;
      }
    });
  }

  async status(ctx: CallContext, path: string): Promise<FileStatus> {
    const doing = `read the status of ${path}`;
    return this.#at(ctx, doing, path, async (local) => this.#statusOf(local, doing));
  }

  async setOwner(ctx: CallContext, path: string, uid: number, gid: number): Promise<void> {
    await this.#change(ctx, `set the owner of ${path}`, path, async (local) =>
      libcephfs().setOwner(this.#mount.handle, local, uid, gid),
    );
  }

  async setMode(ctx: CallContext, path: string, mode: number): Promise<void> {
    await this.#change(ctx, `set the mode of ${path}`, path, async (local) =>
      libcephfs().setMode(this.#mount.handle, local, mode),
    );
  }

  async attributes(ctx: CallContext, path: string, names: readonly string[]): Promise<Map<string, string>> {
    const doing = `read attributes of ${path}`;
    return this.#at(ctx, doing, path, async (local) => {
      const values = new Map<string, string>();
      const read = async (name: string) => {
        const value = await readAttribute(this.#mount, local, name, doing);
        if (value !== undefined) values.set(name, value);
      };
      // The first finds the path, which the others then know: at the same time each would ask the MDS for it.
      const [first, ...rest] = names;
      if (first !== undefined) await read(first);
      await settled(rest.map(read));
      return values;
    });
  }

  async attributeNames(ctx: CallContext, path: string): Promise<string[]> {
    const doing = `list the attributes of ${path}`;
    return this.#at(ctx, doing, path, async (local) => listAttributes(this.#mount, local, doing));
  }

  async setAttribute(
    ctx: CallContext,
    path: string,
    name: string,
    value: string,
    onlyIfAbsent = false,
  ): Promise<boolean> {
    const doing = `set ${name} of ${path}`;
    return this.#at(ctx, doing, path, async (local) =>
      writeAttribute(this.#mount, local, name, value, doing, onlyIfAbsent),
    );
  }

  async removeAttribute(ctx: CallContext, path: string, name: string): Promise<void> {
    const doing = `remove ${name} of ${path}`;
    await this.#at(ctx, doing, path, async (local) => deleteAttribute(this.#mount, local, name, doing));
  }

  async list(ctx: CallContext, path: string): Promise<DirectoryEntry[]> {
    const doing = `list ${path}`;
    return this.#at(ctx, doing, path, async (local) => {
      const opened: PointerOut = [null];
      this.#mount.check(await libcephfs().openDirectory(this.#mount.handle, local, opened), doing);
      const directory = written(opened);
      const entries: DirectoryEntry[] = [];
      try {
        for (;;) {
          const batch = await readBatch(this.#mount, directory, doing);
          if (batch === undefined) return entries;
          for (const { name, isDirectory } of batch) {
            if (isUtf8(name)) entries.push({ name: name.toString('utf8'), isDirectory });
          }
        }
      } finally {
        await libcephfs().closeDirectory(this.#mount.handle, directory);
      }
    });
  }

  async listPart(ctx: CallContext, path: string, after: string, fewest: number): Promise<DirectoryPart> {
    const doing = `list ${path}`;
    return this.#at(ctx, doing, path, async (local) => readPart(this.#mount, local, after, fewest, doing));
  }

  async rename(ctx: CallContext, from: string, to: string): Promise<void> {
    const doing = `rename ${from} to ${to}`;
    await this.#at(ctx, doing, from, async (local) => {
      const target = this.#mount.path(to);
      this.#mount.check(await libcephfs().rename(this.#mount.handle, local, target), doing);
    });
  }

  async removeTree(ctx: CallContext, path: string, how: TreeRemoval): Promise<number> {
    return removeTree(this.#mount, ctx, path, how);
  }

  async removeDirectory(ctx: CallContext, path: string): Promise<void> {
    const doing = `remove directory ${path}`;
    await this.#at(ctx, doing, path, async (local) => {
      this.#mount.check(await libcephfs().removeDirectory(this.#mount.handle, local), doing);
    });
  }

  async copyTree(ctx: CallContext, from: string, to: string, how: TreeCopy): Promise<void> {
    await this.#copies.copy(ctx, from, to, how);
  }

  async lock(ctx: CallContext, path: string): Promise<boolean> {
    return this.#locks.lock(ctx, path);
  }

  async unlock(ctx: CallContext, path: string): Promise<void> {
    await this.#locks.unlock(ctx, path);
  }

  async close(): Promise<void> {
    await this.#mount.close();
  }

  /**
   * A change of owner or mode may stay in the library's memory, for seconds, where a killed process loses it: it is done when
   * the MDS has it.
   */
  async #change(
    ctx: CallContext,
    doing: string,
    path: string,
    change: (local: string) => Promise<number>,
  ): Promise<void> {
    await this.#at(ctx, doing, path, async (local) => {
      this.#mount.check(await change(local), doing);
      const { handle } = this.#mount;
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
      const fd = this.#mount.check(await libcephfs().open(handle, local, flags, 0), doing);
      try {
        this.#mount.check(await libcephfs().sync(handle, fd, 0), doing);
      } finally {
        await libcephfs().close(handle, fd);
      }
    });
  }

  async #statusOf(local: string, doing: string): Promise<FileStatus> {
    const status = Buffer.alloc(statxBytes);
    const want = statxWant.mode | statxWant.uid | statxWant.gid | statxWant.inode;
    this.#mount.check(await libcephfs().status(this.#mount.handle, local, status, want, noFollow), doing);
    const mode = status.readUInt16LE(statxAt.mode);
    return {
      isDirectory: (mode & constants.S_IFMT) === constants.S_IFDIR,
      mode: mode & 0o7777,
      uid: status.readUInt32LE(statxAt.uid),
      gid: status.readUInt32LE(statxAt.gid),
      inode: status.readBigUInt64LE(statxAt.inode),
    };
  }

  async #at<T>(ctx: CallContext, doing: string, path: string, job: (local: string) => Promise<T>): Promise<T> {
    const local = this.#mount.path(path);
    return this.#mount.run(ctx, doing, async () => job(local));
  }
}
