import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool, ImageHeader } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { deletedKey } from './volume-record.js';

/**
 * Out of sight: marked as ours, then moved to RBD's trash. Ends an earlier move that was cut off, and clears an image whose
 * creation was.
 * @returns whether there is something in the trash now that is to be purged.
 * @throws DriverError FAILED_PRECONDITION when a client has the image open.
 */
export async function hideImage(ctx: CallContext, pool: CephPool, id: RbdVolumeId): Promise<boolean> {
  const header = await findHeader(ctx, pool, id);
  if (header === 'absent') return moveToTrash(ctx, pool, id);
  if (header === 'unfinished') {
    await ignoringAbsence(pool.images.remove(ctx, id.image));
    return false;
  }
  await refuseWhenWatched(ctx, pool, id);
  await pool.images.setMetadata(ctx, header.id, new Map([[deletedKey, new Date().toISOString()]]));
  try {
    return await moveToTrash(ctx, pool, id);
  } catch (error) {
    // A mark on an image that stays would let a later `rbd trash mv` by hand lose it.
    await pool.images.removeMetadata(ctx, header.id, deletedKey).catch(() => undefined);
    throw error;
  }
}

async function findHeader(
  ctx: CallContext,
  pool: CephPool,
  id: RbdVolumeId,
): Promise<ImageHeader | 'absent' | 'unfinished'> {
  const imageId = await ignoringAbsence(pool.images.id(ctx, id.image));
  if (imageId === undefined) return 'absent';
  return (await ignoringAbsence(pool.images.headerById(ctx, imageId, []))) ?? 'unfinished';
}

/** librbd would take the lock from an idle client and trash the image under it: what is open stays. */
async function refuseWhenWatched(ctx: CallContext, pool: CephPool, id: RbdVolumeId): Promise<void> {
  const watchers = await pool.images.watchers(ctx, id.image);
  if (watchers.length === 0) return;
  const addresses = [...new Set(watchers.map((watcher) => watcher.address))].join(', ');
  throw new DriverError(
    'FAILED_PRECONDITION',
    `volume ${formatVolumeId(id)} is in use by the client at ${addresses}: unstage or unmap it there first; a client that was killed is forgotten after 30 s`,
  );
}

async function moveToTrash(ctx: CallContext, pool: CephPool, id: RbdVolumeId): Promise<boolean> {
  return (await ignoringAbsence(pool.images.moveToTrash(ctx, id.image).then(() => true))) ?? false;
}

async function ignoringAbsence<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isCephError(error, errno.ENOENT)) return undefined;
    throw error;
  }
}
