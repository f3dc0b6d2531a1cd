import { randomBytes } from 'node:crypto';
import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { looksDerived } from '../object-name.js';
import { hasUserSnapshots } from './deleted-directory.js';
import { rememberTrash } from './trashes-elsewhere.js';
import { deletedHomes, deletedPath, homeOf, parentOf, pathsTo, trashName, trashPath } from './volume-paths.js';

const hiddenMode = 0o700;

/**
 * Out of sight by one rename, whatever the directory holds.
 * @returns the directory whose trash it lies in now, or which remembers where; undefined when there is nothing to purge.
 */
export async function hideDirectory(
  ctx: CallContext,
  fs: CephFileSystem,
  id: CephfsVolumeId,
  groupPath: string,
): Promise<string | undefined> {
  // What CreateVolume has made is a directory of the group; an id that somebody has written may name anything.
  if (!looksDerived(id.path) || parentOf(id.path) !== groupPath) await refuseOddPath(ctx, fs, id);
  const homes = deletedHomes(fs.root, homeOf(fs.root, groupPath, id.path), id.path);
  if (await hasUserSnapshots(ctx, fs, id.path)) {
    // They stay usable: the last one that is deleted takes the directory along.
    const { inode } = await fs.status(ctx, id.path);
    const { home, deleted } = await besideQuotas(ctx, fs, homes, async (home) => {
      const deleted = deletedPath(home, id.path, inode.toString());
      await moveTo(ctx, fs, id.path, deleted);
      return { home, deleted };
    });
    // The last of them may have been deleted meanwhile, by somebody who saw the directory where it was.
    if (await hasUserSnapshots(ctx, fs, deleted)) return undefined;
    return (await moveInto(ctx, fs, deleted, home)) ? homes[0] : undefined;
  }
  const isMoved = await besideQuotas(ctx, fs, homes, async (home) => moveInto(ctx, fs, id.path, home));
  return isMoved ? homes[0] : undefined;
}

/** Nothing can be renamed across a quota's border: then it goes beside the directory. @returns what move() does. */
async function besideQuotas<T>(
  ctx: CallContext,
  fs: CephFileSystem,
  [first = '/', second]: readonly string[],
  move: (home: string) => Promise<T>,
): Promise<T> {
  try {
    return await move(first);
  } catch (error) {
    if (second === undefined || !isCephError(error, errno.EXDEV)) throw error;
  }
  await rememberTrash(ctx, fs, first, second);
  return move(second);
}

/**
 * libcephfs follows symbolic links on the way: one could lead around what refuseUndeletable() protects.
 * @throws DriverError FAILED_PRECONDITION also for a symbolic link itself: a volume is a directory.
 */
async function refuseOddPath(ctx: CallContext, fs: CephFileSystem, id: CephfsVolumeId): Promise<void> {
  for (const path of pathsTo(fs.root, id.path)) {
    const found = await ifPresent(fs.status(ctx, path));
    if (found === undefined || found.isDirectory) continue;
    throw new DriverError(
      'FAILED_PRECONDITION',
      `volume ${formatVolumeId(id)} can't be deleted: ${path} of file system "${id.fsName}" is no directory; correct the volume id in the PersistentVolume`,
    );
  }
}

export async function moveInto(ctx: CallContext, fs: CephFileSystem, path: string, home: string): Promise<boolean> {
  return moveTo(ctx, fs, path, `${trashPath(home)}/${trashName(path, randomBytes(8).toString('hex'))}`);
}

/** @returns false when there is nothing at the path. */
async function moveTo(ctx: CallContext, fs: CephFileSystem, path: string, target: string): Promise<boolean> {
  try {
    await fs.rename(ctx, path, target);
    return true;
  } catch (error) {
    if (!isCephError(error, errno.ENOENT)) throw error;
  }
  // The volume is gone, or there is no trash yet.
  await fs.makeDirectories(ctx, parentOf(target), hiddenMode);
  try {
    await fs.rename(ctx, path, target);
    return true;
  } catch (error) {
    if (isCephError(error, errno.ENOENT)) return false;
    throw error;
  }
}
