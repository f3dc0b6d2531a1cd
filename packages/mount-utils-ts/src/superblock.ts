import { open } from 'node:fs/promises';
import { crc32c } from './crc32c.js';

/** Where the superblock of ext2/3/4 starts, and fields in it: Linux, Documentation/filesystems/ext4/super.rst. */
const EXT = 1024;
const EXT_BYTES = 1024;
const EXT_BLOCKS_LO = EXT + 0x04;
const EXT_LOG_BLOCK_SIZE = EXT + 0x18;
const EXT_MOUNTS = EXT + 0x34;
const EXT_MAX_MOUNTS = EXT + 0x36;
const EXT_MAGIC = EXT + 0x38;
const EXT_STATE = EXT + 0x3a;
const EXT_LAST_CHECK = EXT + 0x40;
const EXT_CHECK_INTERVAL = EXT + 0x44;
const EXT_INCOMPATIBLE = EXT + 0x60;
const EXT_READ_ONLY_COMPATIBLE = EXT + 0x64;
const EXT_LAST_ORPHAN = EXT + 0xe8;
const EXT_BLOCKS_HI = EXT + 0x150;
const EXT_CHECKSUM = EXT + 0x3fc;
const EXT_MAGIC_VALUE = 0xef53;
/** s_state: cleanly unmounted, and nothing else. */
const EXT_CLEAN = 1;
/** Incompatible features: the journal wants to be replayed; an external journal; 64-bit block numbers; extents, which ext3 lacks. */
const EXT_RECOVER = 0x4;
const EXT_JOURNAL_DEVICE = 0x8;
const EXT_EXTENTS = 0x40;
const EXT_64_BIT = 0x80;
const EXT_METADATA_CHECKSUMS = 0x400;
const EXT_ORPHANS_PRESENT = 0x10000;

/** Of xfs, all big endian but the checksum: XFS Algorithms & Data Structures, "Superblocks". */
const XFS_MAGIC_VALUE = 0x58465342;
const XFS_BLOCK_SIZE = 4;
const XFS_DATA_BLOCKS = 8;
const XFS_VERSION = 100;
const XFS_SECTOR_SIZE = 102;
const XFS_BEING_MADE = 126;
const XFS_CHECKSUM = 224;

/** Everything that is looked at lies in so many bytes; an xfs sector is at most that long where it matters. */
const HEAD_BYTES = 4096;

/** The first bytes of a device: file system superblocks are read from them without starting a process. */
export async function readHead(device: string): Promise<Buffer> {
  const head = Buffer.alloc(HEAD_BYTES);
  const file = await open(device, 'r');
  try {
    await file.read(head, 0, head.length, 0);
  } finally {
    await file.close();
  }
  return head;
}

/**
 * The file system that proves itself by the checksum of its superblock and leaves no room for another signature before it: ext4 with
 * metadata checksums, xfs of version 5. undefined for all else, which says nothing about the device: ask blkid(8).
 */
export function provenFileSystem(head: Buffer): 'ext4' | 'xfs' | undefined {
  if (isProvenExt4(head)) return 'ext4';
  return isProvenXfs(head) ? 'xfs' : undefined;
}

/**
 * Would `e2fsck -p` pass over this ext2/3/4 at once? What it decides by: s_state, orphans, the count of mounts, the time since the
 * last check. False also when the journal is to be replayed: errors may stand in it, so e2fsck replays and then decides.
 */
export function isCleanExt(head: Buffer, nowSeconds = Date.now() / 1000): boolean {
  if (!isExt(head) || head.readUInt16LE(EXT_STATE) !== EXT_CLEAN) return false;
  if ((head.readUInt32LE(EXT_INCOMPATIBLE) & EXT_RECOVER) !== 0) return false;
  if ((head.readUInt32LE(EXT_READ_ONLY_COMPATIBLE) & EXT_ORPHANS_PRESENT) !== 0) return false;
  if (head.readUInt32LE(EXT_LAST_ORPHAN) !== 0 || !hasGoodExtChecksum(head)) return false;
  const maxMounts = head.readInt16LE(EXT_MAX_MOUNTS);
  if (maxMounts > 0 && head.readUInt16LE(EXT_MOUNTS) >= maxMounts) return false;
  const intervalSeconds = head.readUInt32LE(EXT_CHECK_INTERVAL);
  return intervalSeconds === 0 || nowSeconds - head.readUInt32LE(EXT_LAST_CHECK) < intervalSeconds;
}

/** What the file system covers, in bytes; undefined for other file systems than ext2/3/4 and xfs. */
export function coveredBytes(head: Buffer): bigint | undefined {
  if (isExt(head)) {
    const is64Bit = (head.readUInt32LE(EXT_INCOMPATIBLE) & EXT_64_BIT) !== 0;
    const high = is64Bit ? BigInt(head.readUInt32LE(EXT_BLOCKS_HI)) : 0n;
    const blocks = (high << 32n) | BigInt(head.readUInt32LE(EXT_BLOCKS_LO));
    return blocks << BigInt(10 + head.readUInt32LE(EXT_LOG_BLOCK_SIZE));
  }
  if (!isXfs(head)) return undefined;
  return head.readBigUInt64BE(XFS_DATA_BLOCKS) * BigInt(head.readUInt32BE(XFS_BLOCK_SIZE));
}

function isExt(head: Buffer): boolean {
  return head.readUInt16LE(EXT_MAGIC) === EXT_MAGIC_VALUE;
}

function isXfs(head: Buffer): boolean {
  return head.readUInt32BE(0) === XFS_MAGIC_VALUE;
}

/** mke2fs(8) clears what is before the superblock: a partition table or a LUKS header would stand there. */
function isProvenExt4(head: Buffer): boolean {
  if (!isExt(head) || !head.subarray(0, EXT).every((byte) => byte === 0)) return false;
  const incompatible = head.readUInt32LE(EXT_INCOMPATIBLE);
  if ((incompatible & EXT_EXTENTS) === 0 || (incompatible & EXT_JOURNAL_DEVICE) !== 0) return false;
  return hasExtChecksum(head) && hasGoodExtChecksum(head);
}

function hasExtChecksum(head: Buffer): boolean {
  return (head.readUInt32LE(EXT_READ_ONLY_COMPATIBLE) & EXT_METADATA_CHECKSUMS) !== 0;
}

/** True for one that has none. */
function hasGoodExtChecksum(head: Buffer): boolean {
  if (!hasExtChecksum(head)) return true;
  return crc32c(head.subarray(EXT, EXT + EXT_BYTES - 4)) === head.readUInt32LE(EXT_CHECKSUM);
}

function isProvenXfs(head: Buffer): boolean {
  if (!isXfs(head) || (head.readUInt16BE(XFS_VERSION) & 0xf) !== 5) return false;
  if (head.readUInt8(XFS_BEING_MADE) !== 0) return false;
  const sectorBytes = head.readUInt16BE(XFS_SECTOR_SIZE);
  if (sectorBytes < 512 || sectorBytes > HEAD_BYTES) return false;
  // The checksum's own four bytes count as zero, and xfs inverts the end.
  const sector = Buffer.from(head.subarray(0, sectorBytes));
  sector.fill(0, XFS_CHECKSUM, XFS_CHECKSUM + 4);
  return ~crc32c(sector) >>> 0 === head.readUInt32LE(XFS_CHECKSUM);
}
