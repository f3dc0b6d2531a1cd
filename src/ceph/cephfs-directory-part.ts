import { isUtf8 } from 'node:buffer';
import { CephError, errno } from './ceph-error.js';
import { type RawEntry, readBatch } from './cephfs-directory.js';
import type { CephFsMount } from './cephfs-mount.js';
import type { DirectoryPart, PlacedEntry } from './client.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { libcephfs } from './native/libcephfs.js';

/*
 * The MDS hands out a directory in the order of its names' hashes, then of the names, and an offset in it is a hash in its upper bits
 * and a count among equal hashes in the lower ones (client/Client.h, dir_result_t). A count changes when one of its neighbours goes:
 * reading starts at the first name of the hash again, and leaves out by name what came before.
 */
const countBits = 28n;
const dots = 2;
const firstCount = BigInt(dots); // 0 and 1 are "." and ".."

interface Place {
  readonly hash: bigint;
  readonly name: Buffer;
}

/**
 * Entries after a place, at least so many unless the directory ends. Runs inside a job.
 * @param path below the mounted root
 * @throws CephError ENOENT, ENOTDIR, EINVAL (no such place).
 */
export async function readPart(
  mount: CephFsMount,
  path: string,
  after: string,
  fewest: number,
  doing: string,
): Promise<DirectoryPart> {
  const start = after === '' ? undefined : parsePlace(after);
  const opened: PointerOut = [null];
  mount.check(await libcephfs().openDirectory(mount.handle, path, opened), doing);
  const directory = written(opened);
  try {
    if (start !== undefined)
      await libcephfs().seekDirectory(mount.handle, directory, (start.hash << countBits) | firstCount);
    return await collect(mount, directory, start, fewest, doing);
  } finally {
    await libcephfs().closeDirectory(mount.handle, directory);
  }
}

async function collect(
  mount: CephFsMount,
  directory: Pointer,
  start: Place | undefined,
  fewest: number,
  doing: string,
): Promise<DirectoryPart> {
  const entries: PlacedEntry[] = [];
  while (entries.length < fewest) {
    const batch = await readBatch(mount, directory, doing, fewest - entries.length + dots);
    if (batch === undefined) return { entries, isLast: true };
    for (const entry of batch) if (isUtf8(entry.name) && !isBefore(entry, start)) entries.push(placed(entry));
  }
  return { entries, isLast: false };
}

function placed(entry: RawEntry): PlacedEntry {
  const name = entry.name.toString('utf8');
  return { name, isDirectory: entry.isDirectory, place: `${hashOf(entry).toString(16)}:${name}` };
}

/** The start itself counts as before it. */
function isBefore(entry: RawEntry, start: Place | undefined): boolean {
  return start?.hash === hashOf(entry) && Buffer.compare(entry.name, start.name) <= 0;
}

function hashOf({ next }: RawEntry): bigint {
  return (next - 1n) >> countBits;
}

function parsePlace(text: string): Place {
  const [, hash, name] = /^([0-9a-f]{1,9}):(.+)$/s.exec(text) ?? [];
  if (hash === undefined || name === undefined)
    throw new CephError('INVALID_ARGUMENT', `"${text}" is no place in a directory`, errno.EINVAL);
  return { hash: BigInt(`0x${hash}`), name: Buffer.from(name, 'utf8') };
}
