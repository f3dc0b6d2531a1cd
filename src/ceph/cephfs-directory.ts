import type { CephFsMount } from './cephfs-mount.js';
import type { Pointer } from './native/library.js';
import { libcephfs } from './native/libcephfs.js';

export interface RawEntry {
  /** As Ceph has it: any bytes but `/` and zero. */
  readonly name: Buffer;
  readonly isDirectory: boolean;
  /** The offset in the directory after this entry. */
  readonly next: bigint;
}

/** dirent(3) on Linux with 64 bits: u64 d_ino, i64 d_off, u16 d_reclen (not filled in), u8 d_type, char d_name[256]. */
const direntBytes = 280;
const at = { next: 8, type: 18, name: 19 } as const;
const typeDirectory = 4;
const usualCount = 256;

/**
 * The next entries of an opened directory, without `.` and `..`; undefined at its end. Runs inside a job.
 * @param most `.` and `..` counted in. Of what the library has left over from the call before, it asks the MDS about each directory.
 */
export async function readBatch(
  mount: CephFsMount,
  directory: Pointer,
  doing: string,
  most = usualCount,
): Promise<readonly RawEntry[] | undefined> {
  const buffer = Buffer.allocUnsafe(most * direntBytes);
  const length = mount.check(await libcephfs().readDirectory(mount.handle, directory, buffer, buffer.length), doing);
  return length === 0 ? undefined : parse(buffer.subarray(0, length));
}

function parse(records: Buffer): RawEntry[] {
  const entries: RawEntry[] = [];
  for (let offset = 0; offset < records.length; offset += direntBytes) {
    const start = offset + at.name;
    const name = records.subarray(start, records.indexOf(0, start));
    const isDots = name[0] === 46 && (name.length === 1 || (name.length === 2 && name[1] === 46));
    // A copy, for the whole buffer would stay in memory with one name.
    if (isDots) continue;
    entries.push({
      name: Buffer.from(name),
      isDirectory: records[offset + at.type] === typeDirectory,
      next: records.readBigInt64LE(offset + at.next),
    });
  }
  return entries;
}

/** With the zero that C wants at its end. */
export function zeroTerminated(name: Buffer | string): Buffer {
  return Buffer.concat([typeof name === 'string' ? Buffer.from(name, 'utf8') : name, Buffer.alloc(1)]);
}
