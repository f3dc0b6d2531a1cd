import { errno } from './ceph-error.js';
import type { CephFsMount } from './cephfs-mount.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { libcephfs, noFollow, statxBytes, statxWant } from './native/libcephfs.js';

export interface RawEntry {
  /** As Ceph has it: any bytes but `/` and zero. */
  readonly name: Buffer;
  readonly isDirectory: boolean;
}

/** dirent(3) on Linux with 64 bits: u64 d_ino, i64 d_off, u16 d_reclen (not filled in), u8 d_type, char d_name[256]. */
const direntBytes = 280;
const at = { type: 18, name: 19 } as const;
const typeDirectory = 4;
const batchBytes = 256 * direntBytes;

/** The next entries of an opened directory, without `.` and `..`; undefined at its end. Runs inside a job. */
export async function readBatch(
  mount: CephFsMount,
  directory: Pointer,
  doing: string,
): Promise<readonly RawEntry[] | undefined> {
  const buffer = Buffer.allocUnsafe(batchBytes);
  const length = mount.check(await libcephfs().readDirectory(mount.handle, directory, buffer, buffer.length), doing);
  return length === 0 ? undefined : parse(buffer.subarray(0, length));
}

export interface FoundEntry {
  readonly name: Buffer;
  /** Given back by whoever has read it. */
  readonly inode: Pointer;
  /** struct ceph_statx */
  readonly status: Buffer;
}

/** Opens a directory for readEntry(), past its `.` and `..`, whose status would cost a round trip each. Runs inside a job. */
export async function openEntries(mount: CephFsMount, inode: Pointer, doing: string): Promise<Pointer> {
  const opened: PointerOut = [null];
  mount.check(await libcephfs().openInode(mount.handle, inode, opened, mount.permissions), doing);
  const directory = written(opened);
  for (let dots = 0; dots < 2; dots++) {
    const entry = await readEntry(mount, directory, doing, 0);
    if (entry !== undefined) await libcephfs().putInode(mount.handle, entry.inode);
    if (entry !== undefined && isDots(entry.name)) continue;
    await libcephfs().closeDirectory(mount.handle, directory);
    mount.check(-errno.EIO, doing); // libcephfs lists them first, always
  }
  return directory;
}

/** The next entry with its status, which a look-up would ask the MDS for once more; undefined at the end. Runs inside a job. */
export async function readEntry(
  mount: CephFsMount,
  directory: Pointer,
  doing: string,
  want: number = statxWant.basic,
): Promise<FoundEntry | undefined> {
  const record = Buffer.alloc(direntBytes);
  const status = Buffer.alloc(statxBytes);
  const out: PointerOut = [null];
  const returned = await libcephfs().readDirectoryPlus(mount.handle, directory, record, status, want, noFollow, out);
  if (mount.check(returned, doing) === 0) return undefined;
  return { name: nameAt(record, 0), inode: written(out), status };
}

function parse(records: Buffer): RawEntry[] {
  const entries: RawEntry[] = [];
  for (let offset = 0; offset < records.length; offset += direntBytes) {
    const name = nameAt(records, offset);
    if (!isDots(name)) entries.push({ name, isDirectory: records[offset + at.type] === typeDirectory });
  }
  return entries;
}

function nameAt(records: Buffer, offset: number): Buffer {
  const start = offset + at.name;
  // A copy, for the whole buffer would stay in memory with one name.
  return Buffer.from(records.subarray(start, records.indexOf(0, start)));
}

function isDots(name: Buffer): boolean {
  return name[0] === 46 && (name.length === 1 || (name.length === 2 && name[1] === 46));
}

/** With the zero that C wants at its end. */
export function zeroTerminated(name: Buffer | string): Buffer {
  return Buffer.concat([typeof name === 'string' ? Buffer.from(name, 'utf8') : name, Buffer.alloc(1)]);
}
