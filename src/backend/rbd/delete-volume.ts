import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephPool, ImageHeader } from '../../ceph/client.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { refuseAttached } from '../attachment-record.js';
import { attachmentsIn } from './image-attachments.js';
import { attachedKey, deletedKey } from './metadata-keys.js';
import { type ImageHolders, refuseWatched } from './refuse-watched.js';
import { discardIfUnneeded, hasUserSnapshots, reservedName } from './reserved-image.js';

/**
 * Out of sight: marked as ours, then moved to RBD's trash; with snapshots, which stay usable, renamed until the last of them is gone. Ends
 * an earlier move that was cut off, and clears an image whose
 * creation was.
 * @returns whether there is something in the trash now that is to be purged.
 * @throws DriverError FAILED_PRECONDITION when a node has it attached, or a client has the image open; ABORTED when that is the driver.
 */
export async function hideImage(
  ctx: CallContext,
  pool: CephPool,
  id: RbdVolumeId,
  holders: ImageHolders,
): Promise<boolean> {
  const imageId = await ifPresent(pool.images.id(ctx, id.image));
  if (imageId === undefined) return moveToTrash(ctx, pool, id);
  // The mark means something in the trash only, so it may be set while watchers are asked for.
  const mark = new Map([[deletedKey, new Date().toISOString()]]);
  try {
    const [watched, header] = await Promise.all([
      ifPresent(pool.images.isWatched(ctx, imageId)),
      ifPresent(markAndRead(ctx, pool, imageId, mark)),
    ]);
    if (watched === undefined) {
      // A name without a header: its creation was cut off, and there is nothing to keep for a purge.
      await pool.images.removeUnfinished(ctx, id.image);
      return false;
    }
    if (header !== undefined) refuseAttached(id, attachmentsIn(header, id.image));
    if (watched) await refuseWatched(ctx, pool, id, imageId, holders);
    if (header?.hasSnapshots === true && (await hasUserSnapshots(ctx, pool, imageId))) {
      await ifPresent(pool.images.rename(ctx, id.image, reservedName(imageId)));
      // The last of them may have been deleted meanwhile, by somebody who saw the image under its own name.
      return await discardIfUnneeded(ctx, pool, imageId);
    }
    return await moveToTrash(ctx, pool, id);
  } catch (error) {
    // A mark on an image that stays would let a later `rbd trash mv` by hand lose it.
    await pool.images.removeMetadata(ctx, imageId, deletedKey).catch(() => undefined);
    throw error;
  }
}

/** In this order: whoever attaches the image after it was read sees the mark. */
async function markAndRead(
  ctx: CallContext,
  pool: CephPool,
  imageId: string,
  mark: ReadonlyMap<string, string>,
): Promise<ImageHeader> {
  await pool.images.setMetadata(ctx, imageId, mark);
  return pool.images.headerById(ctx, imageId, [attachedKey]);
}

async function moveToTrash(ctx: CallContext, pool: CephPool, id: RbdVolumeId): Promise<boolean> {
  return (await ifPresent(pool.images.moveToTrash(ctx, id.image).then(() => true))) ?? false;
}
