import { errno } from './ceph-error.js';
import { zeroTerminated } from './cephfs-directory.js';
import { type FileCopy, isWhole, setTimeAlone } from './cephfs-file-copy.js';
import type { Found, Place, TreeCalls } from './cephfs-tree-calls.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { libcephfs, statxAt, statxBytes, statxWant } from './native/libcephfs.js';
import { settled } from './settled.js';

const directoryName = '.cuttle-links';
const mostPasses = 10;

/**
 * Copies files that have several names: the first of them is copied, the others become links to it. Which copy is the first lies
 * in the target itself, in a directory with a link by the source's inode number for each, until the copy is whole: a copy of
 * millions of them needs no memory, and one that was cut off knows them when it goes on.
 */
export class LinkCopy {
  readonly #calls: TreeCalls;
  readonly #files: FileCopy;
  readonly #top: Place;
  readonly #target: Pointer;
  /** Names of one file are copied one after the other. */
  readonly #underWay = new Map<bigint, Promise<void>>();
  #place: Place | undefined;
  #directory: Promise<Pointer> | undefined;

  constructor(calls: TreeCalls, files: FileCopy, top: Place, target: Pointer) {
    this.#calls = calls;
    this.#files = files;
    this.#top = top;
    this.#target = target;
  }

  /** Chooses a name that nothing in the source has; the same every time. */
  async begin(source: Pointer): Promise<void> {
    for (let name = directoryName; ; name += '-') {
      const place = { parent: this.#top, name: Buffer.from(name) };
      const taken = await this.#calls.lookUp(place, source);
      if (taken !== undefined) {
        await this.#calls.giveBack(taken.inode);
        continue;
      }
      this.#place = place;
      const left = await this.#calls.lookUp(place, this.#target);
      if (left !== undefined) this.#directory = Promise.resolve(left.inode);
      return;
    }
  }

  /** As FileCopy.copy(). */
  async copy(place: Place, source: Found, parent: Pointer, there: Found | undefined): Promise<Found | undefined> {
    const number = source.status.readBigUInt64LE(statxAt.inode);
    const before = this.#underWay.get(number);
    const copying = (async () => {
      await before?.catch(() => undefined); // its failure has ended the whole copy
      return this.#copyOne(place, source, parent, there);
    })();
    const ended = copying.then(
      () => undefined,
      () => undefined,
    );
    this.#underWay.set(number, ended);
    try {
      return await copying;
    } finally {
      if (this.#underWay.get(number) === ended) this.#underWay.delete(number);
    }
  }

  async #copyOne(place: Place, source: Found, parent: Pointer, there: Found | undefined): Promise<Found | undefined> {
    const directory = await (this.#directory ??= this.#makeDirectory());
    const number = source.status.readBigUInt64LE(statxAt.inode);
    const first: Place = { parent: this.#ownPlace(), name: Buffer.from(number.toString(16)) };
    const known = await this.#calls.lookUp(first, directory);
    if (known === undefined) return this.#copyFirst({ place, first }, source, { parent, directory }, there);
    try {
      if (!isWhole(source.status, known.status)) {
        await this.#calls.remove(first, directory);
        return await this.#copyFirst({ place, first }, source, { parent, directory }, there);
      }
      if (there !== undefined) {
        if (sameInode(there, known)) return undefined;
        await this.#calls.remove(place, parent);
      }
      await this.#link(place, known.inode, parent);
      return undefined;
    } finally {
      await this.#calls.giveBack(known.inode);
    }
  }

  /** Copies the file itself, and remembers the copy. */
  async #copyFirst(
    { place, first }: { place: Place; first: Place },
    source: Found,
    { parent, directory }: { parent: Pointer; directory: Pointer },
    there: Found | undefined,
  ): Promise<Found | undefined> {
    const made = await this.#files.copy(place, source, parent, there);
    const inode = made?.inode ?? there?.inode;
    try {
      if (inode !== undefined) await this.#link(first, inode, directory);
    } catch (error) {
      if (made !== undefined) await this.#calls.giveBack(made.inode);
      throw error;
    }
    return made;
  }

  /** Removes what it has needed. */
  async end(): Promise<void> {
    if (this.#directory === undefined) return;
    const place = this.#ownPlace();
    const name = zeroTerminated(place.name);
    const { handle, permissions } = this.#calls.mount;
    const directory = await this.#directory;
    // What comes after a link was made can undo setTimeAlone(): again, then, when the links are in the MDS's journal.
    await this.#calls.must(place, async () => libcephfs().syncAll(handle));
    for (let passes = 1; ; passes++) {
      await this.#calls.eachBatch(place, directory, async (batch) => {
        await settled(batch.map(async (entry) => this.#forget({ parent: place, name: entry.name }, directory)));
      });
      const returned = await this.#calls.call(async () =>
        libcephfs().removeDirectoryIn(handle, this.#target, name, permissions),
      );
      // What is removed while a directory is read may hide something else from the reader.
      if (returned === -errno.ENOTEMPTY && passes < mostPasses) continue;
      this.#calls.check(place, returned);
      return;
    }
  }

  async #forget(place: Place, directory: Pointer): Promise<void> {
    const known = await this.#calls.lookUp(place, directory);
    if (known === undefined) return;
    try {
      const status = await this.#calls.statusOf(place, known.inode);
      await setTimeAlone(this.#calls, place, status, known.inode);
      await this.#calls.remove(place, directory);
    } finally {
      await this.#calls.giveBack(known.inode);
    }
  }

  async giveBack(): Promise<void> {
    const directory = await this.#directory?.catch(() => undefined);
    if (directory !== undefined) await this.#calls.giveBack(directory);
  }

  #ownPlace(): Place {
    if (this.#place === undefined) throw new TypeError('begin() comes first');
    return this.#place;
  }

  async #makeDirectory(): Promise<Pointer> {
    const out: PointerOut = [null];
    const place = this.#ownPlace();
    const name = zeroTerminated(place.name);
    const { handle, permissions } = this.#calls.mount;
    const status = Buffer.alloc(statxBytes);
    const want = statxWant.basic;
    await this.#calls.must(place, async () =>
      libcephfs().makeDirectoryIn(handle, this.#target, name, 0o700, out, status, want, 0, permissions),
    );
    return written(out);
  }

  async #link(place: Place, inode: Pointer, parent: Pointer): Promise<void> {
    const name = zeroTerminated(place.name);
    const { handle, permissions } = this.#calls.mount;
    await this.#calls.must(place, async () => libcephfs().linkIn(handle, inode, parent, name, permissions));
  }
}

function sameInode(a: Found, b: Found): boolean {
  return a.status.readBigUInt64LE(statxAt.inode) === b.status.readBigUInt64LE(statxAt.inode);
}
