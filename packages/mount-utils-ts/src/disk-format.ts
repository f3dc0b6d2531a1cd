import { open, stat } from 'node:fs/promises';
import { deviceSizeBytes } from './device-number.js';
import { DEFAULT_TIMEOUT_MS, type Exec, type ExecResult } from './exec.js';
import { MountError, programError } from './mount-error.js';

/** What is on a device. Only `blank` may ever be formatted. */
export type DiskFormat =
  | { kind: 'blank' }
  | { kind: 'filesystem'; fsType: string }
  | { kind: 'partition-table'; type: string }
  /** A member of something else (LVM2_member, crypto_LUKS, swap...), or `ambivalent`: several signatures. */
  | { kind: 'other'; type: string };

/** Exit codes of blkid(8), low-level probing. */
const NOTHING_FOUND = 2;
const AMBIVALENT = 8;

/** TYPE values of libblkid whose usage is not "filesystem". */
const NOT_A_FILESYSTEM =
  /_member$|_raid|^crypto_|^bitlocker$|^swap$|^swsuspend$|^ceph_bluestore$|^bcache$|^jbd$|^dm_|^ddf_|^drbd|^vdo$|^stratis$|^luks/i;

/** How much is read at each end of the device to learn that it can be read at all. */
const SAMPLE_BYTES = 65_536n;

/**
 * Says what is on `device` (a block device or a regular file), by `blkid -p`: past all caches. "Nothing found" counts as
 * blank only after the device proved to be there and readable, for blkid(8) exits with 2 in all three cases.
 * Throws MountError of kind GetDiskFormatFailed.
 */
export async function probeDiskFormat(exec: Exec, device: string): Promise<DiskFormat> {
  const args = ['-p', '-s', 'TYPE', '-s', 'PTTYPE', '-o', 'export', device];
  const result = await exec('blkid', args, { timeoutMs: DEFAULT_TIMEOUT_MS });
  if (result.failure !== undefined) throw probeFailed(device, result);
  if (result.exitCode === 0) return formatOf(result.stdout);
  if (result.exitCode === AMBIVALENT) return { kind: 'other', type: 'ambivalent' };
  if (result.exitCode !== NOTHING_FOUND) throw probeFailed(device, result);
  await assertReadable(device);
  return { kind: 'blank' };
}

/** One sentence part for error texts. */
export function describeFormat(format: DiskFormat): string {
  switch (format.kind) {
    case 'blank':
      return 'nothing';
    case 'filesystem':
      return `a ${format.fsType} file system`;
    case 'partition-table':
      return `a partition table (${format.type})`;
    case 'other':
      return format.type === 'ambivalent' ? 'several signatures that contradict each other' : `${format.type} data`;
  }
}

function formatOf(stdout: string): DiskFormat {
  const tags = new Map(
    stdout.split('\n').map((line): [string, string] => {
      const equals = line.indexOf('=');
      return equals < 0 ? [line, ''] : [line.slice(0, equals), line.slice(equals + 1)];
    }),
  );
  const type = tags.get('TYPE') ?? '';
  const tableType = tags.get('PTTYPE') ?? '';
  // A table counts even beside a file system: what of the two is meant, nobody can tell.
  if (tableType !== '') return { kind: 'partition-table', type: tableType };
  if (type === '') return { kind: 'blank' };
  return NOT_A_FILESYSTEM.test(type) ? { kind: 'other', type } : { kind: 'filesystem', fsType: type };
}

async function assertReadable(device: string): Promise<void> {
  try {
    const found = await stat(device);
    if (!found.isBlockDevice() && !found.isFile()) throw new Error('it is neither a block device nor a regular file');
    const sizeBytes = await deviceSizeBytes(device);
    if (sizeBytes === 0n) throw new Error('its size is 0: is it attached?');
    await readSamples(device, sizeBytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MountError('GetDiskFormatFailed', `cannot tell what is on ${device}: ${reason}. It was left untouched.`, {
      program: 'blkid',
      cause: error,
    });
  }
}

/** A device whose ends cannot be read is not blank: blkid passes over read errors in silence. */
async function readSamples(device: string, sizeBytes: bigint): Promise<void> {
  const length = Number(sizeBytes < SAMPLE_BYTES ? sizeBytes : SAMPLE_BYTES);
  const file = await open(device, 'r');
  try {
    for (const position of [0n, sizeBytes - BigInt(length)]) {
      const { bytesRead } = await file.read(Buffer.alloc(length), 0, length, Number(position));
      if (bytesRead !== length) throw new Error(`only ${bytesRead} of ${length} bytes could be read at ${position}`);
    }
  } finally {
    await file.close();
  }
}

function probeFailed(device: string, result: ExecResult): MountError {
  return programError({
    kind: 'GetDiskFormatFailed',
    what: `cannot tell what is on ${device}`,
    program: 'blkid',
    result,
    advice: 'The device was left untouched.',
  });
}
