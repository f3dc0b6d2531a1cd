import { randomBytes } from 'node:crypto';
import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { looksDerived } from '../object-name.js';
import { hasUserSnapshots } from './deleted-directory.js';
import { deletedHomes, deletedPath, homeOf, parentOf, trashName, trashPath } from './volume-paths.js';

const hiddenMode = 0o700;

/**
 * Out of sight by one rename, whatever the directory holds.
 * @returns the directory whose trash it lies in now; undefined when there was nothing.
 */
export async function hideDirectory(
  ctx: CallContext,
  fs: CephFileSystem,
  id: CephfsVolumeId,
  groupPath: string,
): Promise<string | undefined> {
  // What CreateVolume has made is a directory; an id that somebody has written may name anything.
  if (!looksDerived(id.path)) await refuseFile(ctx, fs, id);
  const homes = deletedHomes(fs.root, homeOf(fs.root, groupPath, id.path), id.path);
  if (await hasUserSnapshots(ctx, fs, id.path)) {
    // They stay usable: the last one that is deleted takes the directory along.
    const { inode } = await fs.status(ctx, id.path);
    await besideQuotas(homes, async (home) => moveTo(ctx, fs, id.path, deletedPath(home, id.path, inode.toString())));
    return undefined;
  }
  return besideQuotas(homes, async (home) => moveInto(ctx, fs, id.path, home));
}

/** Nothing can be renamed across a quota's border: then it is beside the directory. @returns where; undefined when nothing was there. */
async function besideQuotas(
  homes: readonly string[],
  move: (home: string) => Promise<boolean>,
): Promise<string | undefined> {
  for (const home of homes) {
    try {
      return (await move(home)) ? home : undefined;
    } catch (error) {
      if (home === homes.at(-1) || !isCephError(error, errno.EXDEV)) throw error;
    }
  }
  return undefined;
}

/** @throws DriverError FAILED_PRECONDITION also for a symbolic link: a volume is a directory itself. */
async function refuseFile(ctx: CallContext, fs: CephFileSystem, id: CephfsVolumeId): Promise<void> {
  const found = await ifPresent(fs.status(ctx, id.path));
  if (found === undefined || found.isDirectory) return;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `volume ${formatVolumeId(id)} can't be deleted: ${id.path} of file system "${id.fsName}" is no directory; correct the volume id in the PersistentVolume`,
  );
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
