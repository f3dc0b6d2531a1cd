import { deviceSizeBytes } from './device-number.js';
import { coveredBytes, readHead } from './superblock.js';

/** Both leave a last group unused that is too small to be worth its tables: less than this is never a reason to grow. */
const WORTHWHILE_BYTES = 8n << 20n;

/**
 * What the file system on an unmounted device covers, in bytes, from its superblock: no process is started. undefined for other
 * file systems than ext2/3/4 and xfs. (A mounted xfs writes its superblock when it likes.)
 */
export async function fileSystemSizeBytes(device: string): Promise<bigint | undefined> {
  return coveredBytes(await readHead(device));
}

/** Has the device grown since its file system was made or grown, by enough to be of use? */
export async function hasOutgrownFileSystem(device: string): Promise<boolean> {
  const covered = await fileSystemSizeBytes(device);
  return covered !== undefined && (await deviceSizeBytes(device)) - covered >= WORTHWHILE_BYTES;
}
