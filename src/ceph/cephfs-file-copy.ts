import { constants } from 'node:fs';
import { errno } from './ceph-error.js';
import { copyAttributes } from './cephfs-attribute-copy.js';
import { copyData } from './cephfs-data-copy.js';
import { zeroTerminated } from './cephfs-directory.js';
import { fileType, type Found, isDirectory, type Place, type TreeCalls } from './cephfs-tree-calls.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { libcephfs, setStatus, statxAt, statxBytes, statxWant, timespecBytes } from './native/libcephfs.js';

const longestTarget = 4096;
const createNew = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

/** Copies one file, symbolic link, fifo, socket or device node, whose mtime is set last: by it, one that is whole is known. */
export class FileCopy {
  readonly #calls: TreeCalls;
  readonly #onBytes: (bytes: number) => void;

  constructor(calls: TreeCalls, onBytes: (bytes: number) => void) {
    this.#calls = calls;
    this.#onBytes = onBytes;
  }

  /**
   * @param there what has this name in the target already, given back by the caller.
   * @returns the copy, when it isn't that one: whoever gets it gives it back.
   */
  async copy(place: Place, source: Found, parent: Pointer, there: Found | undefined): Promise<Found | undefined> {
    if (there !== undefined) {
      if (isWhole(source.status, there.status)) return undefined;
      await this.#remove(place, parent, there);
    }
    return this.#calls.asOwner(source.status, async (owner) => this.#make(place, source, parent, owner));
  }

  async #make(place: Place, source: Found, parent: Pointer, owner: Pointer): Promise<Found> {
    if (isRegular(source.status)) return this.#makeFile(place, source, parent, owner);
    const made = await this.#makeNode(place, source, parent, owner);
    await this.#orGiveBack(made.inode, async () => {
      await copyAttributes(this.#calls, place, source.inode, made.inode);
      await setStatusLike(this.#calls, place, source.status, made.inode);
    });
    return made;
  }

  async #makeFile(place: Place, source: Found, parent: Pointer, owner: Pointer): Promise<Found> {
    const out: PointerOut = [null];
    const file: PointerOut = [null];
    const status = Buffer.alloc(statxBytes);
    const name = zeroTerminated(place.name);
    const { handle } = this.#calls.mount;
    const want = statxWant.basic;
    await this.#calls.must(place, async () =>
      libcephfs().createIn(handle, parent, name, 0o600, createNew, out, file, status, want, 0, owner),
    );
    const inode = written(out);
    await this.#orGiveBack(inode, async () => this.#fill(place, source, inode, written(file)));
    return { inode, status };
  }

  async #makeNode(place: Place, source: Found, parent: Pointer, owner: Pointer): Promise<Found> {
    const out: PointerOut = [null];
    const status = Buffer.alloc(statxBytes);
    const name = zeroTerminated(place.name);
    const { handle } = this.#calls.mount;
    const want = statxWant.basic;
    if (fileType(source.status) === constants.S_IFLNK) {
      const target = await this.#readLink(place, source.inode);
      await this.#calls.must(place, async () =>
        libcephfs().makeSymlinkIn(handle, parent, name, target, out, status, want, 0, owner),
      );
    } else {
      const mode = fileType(source.status) | 0o600;
      const device = source.status.readBigUInt64LE(statxAt.device);
      await this.#calls.must(place, async () =>
        libcephfs().makeNodeIn(handle, parent, name, mode, device, out, status, want, 0, owner),
      );
    }
    return { inode: written(out), status };
  }

  async #readLink(place: Place, inode: Pointer): Promise<Buffer> {
    const target = Buffer.alloc(longestTarget + 1);
    const { handle, permissions } = this.#calls.mount;
    const length = await this.#calls.must(place, async () =>
      libcephfs().readLink(handle, inode, target, longestTarget, permissions),
    );
    return target.subarray(0, length + 1); // with the zero at its end
  }

  /** @param file an open, empty file, closed in the end. */
  async #fill(place: Place, source: Found, to: Pointer, file: Pointer): Promise<void> {
    const sizeBytes = sizeOf(source.status);
    try {
      const end = sizeBytes === 0 ? 0 : await this.#copyData(place, source, file);
      if (end < sizeBytes) await setStatusOf(this.#calls, place, { wanted: source.status, mask: setStatus.size }, to);
      await copyAttributes(this.#calls, place, source.inode, to);
    } finally {
      await this.#calls.close(file);
    }
    await setStatusLike(this.#calls, place, source.status, to);
    await setTimeAlone(this.#calls, place, source.status, to);
  }

  async #copyData(place: Place, source: Found, to: Pointer): Promise<number> {
    const from = await this.#calls.open(place, source.inode, constants.O_RDONLY);
    try {
      const sizeBytes = sizeOf(source.status);
      return await copyData(this.#calls, { place, from, to, sizeBytes, onBytes: this.#onBytes });
    } finally {
      await this.#calls.close(from);
    }
  }

  /**
   * What an earlier copy has left half, or somebody's. A file isn't written anew instead: libcephfs (16.2.15) may wait for ever when it
   * writes beyond 4 MiB in a file that it has written before. It thinks that it has asked the MDS for the room already, which the MDS
   * took back when the file was closed (tracker.ceph.com/issues/44801, fixed for another order of events).
   */
  async #remove(place: Place, parent: Pointer, there: Found): Promise<void> {
    if (isDirectory(there.status)) this.#calls.check(place, -errno.EISDIR);
    await this.#calls.remove(place, parent);
  }

  async #orGiveBack(inode: Pointer, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.#calls.giveBack(inode);
      throw error;
    }
  }
}

/** Owner, mode and times. */
export async function setStatusLike(calls: TreeCalls, place: Place, wanted: Buffer, inode: Pointer): Promise<void> {
  const mask = setStatus.uid | setStatus.gid | setStatus.mode | setStatus.atime | setStatus.mtime;
  await setStatusOf(calls, place, { wanted, mask }, inode);
}

/**
 * The mtime of a closed file once more: alone, it stays in the library, whose flush then tells the MDS too that nobody writes any
 * more. Without that, the MDS would take the file for half written when this process dies, and set its mtime to what the OSDs say.
 */
export async function setTimeAlone(calls: TreeCalls, place: Place, wanted: Buffer, inode: Pointer): Promise<void> {
  await setStatusOf(calls, place, { wanted, mask: setStatus.mtime }, inode);
}

async function setStatusOf(
  calls: TreeCalls,
  place: Place,
  change: { wanted: Buffer; mask: number },
  inode: Pointer,
): Promise<void> {
  const status = Buffer.from(change.wanted); // the call writes into it
  const { handle, permissions } = calls.mount;
  await calls.must(place, async () => libcephfs().setStatusOf(handle, inode, status, change.mask, permissions));
}

/** All that is set last, with the size. */
export function isWhole(source: Buffer, copy: Buffer): boolean {
  const same = (at: number, bytes: number) => source.compare(copy, at, at + bytes, at, at + bytes) === 0;
  return (
    same(statxAt.mode, 2) &&
    same(statxAt.uid, 4) &&
    same(statxAt.gid, 4) &&
    same(statxAt.size, 8) &&
    same(statxAt.mtime, timespecBytes)
  );
}

function isRegular(status: Buffer): boolean {
  return fileType(status) === constants.S_IFREG;
}

function sizeOf(status: Buffer): number {
  return Number(status.readBigUInt64LE(statxAt.size));
}
