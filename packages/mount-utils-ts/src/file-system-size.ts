import { open } from 'node:fs/promises';
import { deviceSizeBytes } from './device-number.js';

/** Where the superblock of ext2/3/4 starts, and fields in it: Linux, Documentation/filesystems/ext4/super.rst. */
const EXT_SUPERBLOCK = 1024;
const EXT_BLOCKS_LO = EXT_SUPERBLOCK + 0x04;
const EXT_LOG_BLOCK_SIZE = EXT_SUPERBLOCK + 0x18;
const EXT_MAGIC = EXT_SUPERBLOCK + 0x38;
const EXT_INCOMPATIBLE = EXT_SUPERBLOCK + 0x60;
const EXT_BLOCKS_HI = EXT_SUPERBLOCK + 0x150;
const EXT_MAGIC_VALUE = 0xef53;
const EXT_64_BIT = 0x80;
/** Of xfs, all big endian: XFS Algorithms & Data Structures, "Superblocks". */
const XFS_MAGIC_VALUE = 0x58465342;
const XFS_BLOCK_SIZE = 4;
const XFS_DATA_BLOCKS = 8;

/** Both leave a last group unused that is too small to be worth its tables: less than this is never a reason to grow. */
const WORTHWHILE_BYTES = 8n << 20n;

/**
 * What the file system on an unmounted device covers, in bytes, from its superblock: no process is started. undefined for other
 * file systems than ext2/3/4 and xfs. (A mounted xfs writes its superblock when it likes.)
 */
export async function fileSystemSizeBytes(device: string): Promise<bigint | undefined> {
  const head = Buffer.alloc(4096);
  const file = await open(device, 'r');
  try {
    await file.read(head, 0, head.length, 0);
  } finally {
    await file.close();
  }
  if (head.readUInt16LE(EXT_MAGIC) === EXT_MAGIC_VALUE) {
    const is64Bit = (head.readUInt32LE(EXT_INCOMPATIBLE) & EXT_64_BIT) !== 0;
    const high = is64Bit ? BigInt(head.readUInt32LE(EXT_BLOCKS_HI)) : 0n;
    const blocks = (high << 32n) | BigInt(head.readUInt32LE(EXT_BLOCKS_LO));
    return blocks << BigInt(10 + head.readUInt32LE(EXT_LOG_BLOCK_SIZE));
  }
  if (head.readUInt32BE(0) !== XFS_MAGIC_VALUE) return undefined;
  return head.readBigUInt64BE(XFS_DATA_BLOCKS) * BigInt(head.readUInt32BE(XFS_BLOCK_SIZE));
}

/** Has the device grown since its file system was made or grown, by enough to be of use? */
export async function hasOutgrownFileSystem(device: string): Promise<boolean> {
  const covered = await fileSystemSizeBytes(device);
  return covered !== undefined && (await deviceSizeBytes(device)) - covered >= WORTHWHILE_BYTES;
}
