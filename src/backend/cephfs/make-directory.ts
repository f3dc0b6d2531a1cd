import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem, DirectoryCreation } from '../../ceph/client.js';
import type { CallContext } from '../../platform/call-context.js';
import { parentOf } from './volume-paths.js';

/** Of a group's directories: volumes below them have modes of their own. */
const groupMode = 0o755;

/** And the group above it, when it is the first. @returns false when there is such a directory already. */
export async function makeVolumeDirectory(
  ctx: CallContext,
  fs: CephFileSystem,
  path: string,
  directory: DirectoryCreation,
): Promise<boolean> {
  try {
    await fs.makeDirectory(ctx, path, directory);
    return true;
  } catch (error) {
    if (isCephError(error, errno.EEXIST)) return false;
    if (!isCephError(error, errno.ENOENT)) throw error;
  }
  await fs.makeDirectories(ctx, parentOf(path), groupMode);
  try {
    await fs.makeDirectory(ctx, path, directory);
    return true;
  } catch (error) {
    if (isCephError(error, errno.EEXIST)) return false;
    throw error;
  }
}
