import pLimit from 'p-limit';
import type { CallContext } from '../platform/call-context.js';
import { Branches } from './branches.js';
import { CephError, errno } from './ceph-error.js';
import { copyAttributes, copyQuotas, mirrorAttributes, removeDefaultAcl } from './cephfs-attribute-copy.js';
import { zeroTerminated } from './cephfs-directory.js';
import { FileCopy, setStatusLike } from './cephfs-file-copy.js';
import { LinkCopy } from './cephfs-link-copy.js';
import type { CephFsMount } from './cephfs-mount.js';
import { type Found, isDirectory, type Place, TreeCalls } from './cephfs-tree-calls.js';
import type { TreeCopy } from './client.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { libcephfs, statxAt, statxBytes } from './native/libcephfs.js';
import { ProgressWatch } from './progress-watch.js';
import { settled } from './settled.js';

const progressIntervalMs = 500;

/** Copies trees, each target by one at a time: see CephFileSystem.copyTree. */
export class TreeCopies {
  readonly #mount: CephFsMount;
  /** One that was given up still has its last calls under way when the next one comes. */
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(mount: CephFsMount) {
    this.#mount = mount;
  }

  async copy(ctx: CallContext, from: string, to: string, how: TreeCopy): Promise<void> {
    const doing = `copy ${from} to ${to}`;
    const source = this.#mount.path(from);
    const target = this.#mount.path(to);
    if (!from.split('/').includes('.snap')) {
      throw new CephError('INVALID_ARGUMENT', `can't ${doing}: only a snapshot stands still`, errno.EINVAL);
    }
    const watch = new ProgressWatch(ctx.signal, this.#mount.silenceMs);
    try {
      await this.#mount.labour({ ...ctx, signal: watch.signal }, doing, async () =>
        this.#alone(target, async () => {
          const calls = new TreeCalls(this.#mount, { from, to }, watch, how.concurrency);
          await new Copy(calls, how).run(source, target);
        }),
      );
    } finally {
      watch.end();
    }
  }

  async #alone(target: string, work: () => Promise<void>): Promise<void> {
    const before = this.#underWay.get(target);
    const working = (async () => {
      await before;
      await work();
    })();
    const ended = working.catch(() => undefined);
    this.#underWay.set(target, ended);
    try {
      await working;
    } finally {
      if (this.#underWay.get(target) === ended) this.#underWay.delete(target);
    }
  }
}

/**
 * Goes by inode and name, never by path: no symbolic link is followed. In memory are the directories on the way down, for as many
 * branches as there may be files at the same time, and one batch of names each.
 */
class Copy {
  readonly #calls: TreeCalls;
  readonly #how: TreeCopy;
  readonly #files: FileCopy;
  readonly #filesAtOnce: ReturnType<typeof pLimit>;
  readonly #branches: Branches;
  readonly #top: Place = { name: Buffer.alloc(0) };
  #links: LinkCopy | undefined;
  #entries = 0;
  #bytes = 0;
  #toldMs = 0;

  constructor(calls: TreeCalls, how: TreeCopy) {
    this.#calls = calls;
    this.#how = how;
    const onBytes = (bytes: number) => {
      this.#bytes += bytes;
      this.#tell();
    };
    this.#files = new FileCopy(calls, onBytes);
    this.#filesAtOnce = pLimit(how.concurrency);
    this.#branches = new Branches(how.concurrency);
  }

  async run(sourcePath: string, targetPath: string): Promise<void> {
    const source = await this.#calls.find(this.#top, sourcePath);
    await this.#using(source.inode, async () => {
      const target = await this.#calls.find(this.#top, targetPath);
      await this.#using(target.inode, async () => this.#copyTop(source, target));
    });
  }

  async #copyTop(source: Found, target: Found): Promise<void> {
    const calls = this.#calls;
    const top = this.#top;
    for (const { status } of [source, target]) if (!isDirectory(status)) calls.check(top, -errno.ENOTDIR);
    const links = new LinkCopy(calls, this.#files, top, target.inode);
    this.#links = links;
    try {
      await links.begin(source.inode);
      await removeDefaultAcl(calls, top, target.inode);
      await this.#copyEntries(top, source.inode, target.inode, false);
      await links.end();
      await mirrorAttributes(calls, top, source.inode, target.inode);
      await setStatusLike(calls, top, source.status, target.inode);
      // What was set last still lies in the library's memory.
      await calls.must(top, async () => libcephfs().syncAll(calls.mount.handle));
    } finally {
      await links.giveBack();
    }
    this.#tell(true);
  }

  /** @param isNew there is nothing in the target yet. */
  async #copyEntries(place: Place, source: Pointer, target: Pointer, isNew: boolean): Promise<void> {
    await this.#calls.eachBatch(place, source, async (batch) => {
      const copying = (wanted: boolean) =>
        batch
          .filter((entry) => entry.isDirectory === wanted)
          .map((entry) => async () => this.#copyEntry({ parent: place, name: entry.name }, source, target, isNew));
      await settled(copying(false).map(async (copy) => this.#filesAtOnce(copy)));
      await this.#branches.goDown(copying(true));
    });
  }

  /** Whatever it is. */
  async #copyEntry(place: Place, sourceParent: Pointer, targetParent: Pointer, isNew: boolean): Promise<void> {
    try {
      const source = await this.#calls.lookUp(place, sourceParent);
      if (source === undefined) throw this.#calls.changed(place, 'has vanished');
      await this.#using(source.inode, async () => {
        const there = isNew ? undefined : await this.#calls.lookUp(place, targetParent);
        await this.#using(there?.inode, async () => {
          if (isDirectory(source.status)) await this.#copyDirectory(place, source, targetParent, there);
          else await this.#copyFile(place, source, targetParent, there);
        });
      });
      this.#entries += 1;
      this.#tell();
    } catch (error) {
      this.#calls.fail(error);
      throw error;
    }
  }

  async #copyFile(place: Place, source: Found, parent: Pointer, there: Found | undefined): Promise<void> {
    const hasMoreNames = source.status.readUInt32LE(statxAt.links) > 1;
    const copier = hasMoreNames && this.#links !== undefined ? this.#links : this.#files;
    const made = await copier.copy(place, source, parent, there);
    if (made !== undefined) await this.#calls.giveBack(made.inode);
  }

  async #copyDirectory(place: Place, source: Found, parent: Pointer, there: Found | undefined): Promise<void> {
    if (there !== undefined && isDirectory(there.status)) {
      await this.#fillDirectory(place, source, there.inode, false);
      return;
    }
    if (there !== undefined) await this.#calls.remove(place, parent);
    const inode = await this.#makeDirectory(place, source, parent);
    await this.#using(inode, async () => this.#fillDirectory(place, source, inode, true));
  }

  /** Its times come last: its content changes them. */
  async #fillDirectory(place: Place, source: Found, target: Pointer, isNew: boolean): Promise<void> {
    await this.#copyEntries(place, source.inode, target, isNew);
    await copyAttributes(this.#calls, place, source.inode, target);
    await copyQuotas(this.#calls, place, source.inode, target);
    await setStatusLike(this.#calls, place, source.status, target);
  }

  async #makeDirectory(place: Place, source: Found, parent: Pointer): Promise<Pointer> {
    const out: PointerOut = [null];
    const name = zeroTerminated(place.name);
    const status = Buffer.alloc(statxBytes);
    const { handle } = this.#calls.mount;
    await this.#calls.asOwner(source.status, async (owner) =>
      this.#calls.must(place, async () =>
        libcephfs().makeDirectoryIn(handle, parent, name, 0o700, out, status, 0, 0, owner),
      ),
    );
    return written(out);
  }

  async #using(inode: Pointer | undefined, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } finally {
      if (inode !== undefined) await this.#calls.giveBack(inode);
    }
  }

  #tell(isLast = false): void {
    const nowMs = Date.now();
    if (!isLast && nowMs - this.#toldMs < progressIntervalMs) return;
    this.#toldMs = nowMs;
    this.#how.onProgress?.({ entries: this.#entries, bytes: BigInt(this.#bytes) });
  }
}
