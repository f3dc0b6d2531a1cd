import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool } from '../../ceph/client.js';
import type { CallContext } from '../../platform/call-context.js';

/** Images of deleted volumes that still have snapshots; the id in it lets the volume's own name be used anew. */
const reservedPrefix = '.cuttle.deleted.';
/** Taken to clone a volume, and not a user's. */
export const ownSnapshotPrefix = 'cuttle-clone-';

export function reservedName(imageId: string): string {
  return reservedPrefix + imageId;
}

/** Snapshots that somebody may still want; the driver's own, which a cut-off clone has left, are removed. */
export async function hasUserSnapshots(ctx: CallContext, pool: CephPool, imageId: string): Promise<boolean> {
  const snapshots = (await ifPresent(pool.snapshots.list(ctx, imageId))) ?? [];
  const own = snapshots.filter(({ name }) => name.startsWith(ownSnapshotPrefix));
  for (const { name } of own) await ifPresent(pool.snapshots.remove(ctx, imageId, name));
  return own.length < snapshots.length;
}

/**
 * A deleted volume's image goes to the trash with its last snapshot; what clones still need of it, RBD keeps there.
 * @returns whether it is in the trash now.
 */
export async function discardIfUnneeded(ctx: CallContext, pool: CephPool, imageId: string): Promise<boolean> {
  const name = reservedName(imageId);
  if ((await ifPresent(pool.images.id(ctx, name))) === undefined) return false;
  if (await hasUserSnapshots(ctx, pool, imageId)) return false;
  try {
    await pool.images.moveToTrash(ctx, name);
    return true;
  } catch (error) {
    if (isCephError(error, errno.ENOENT)) return false;
    throw error;
  }
}
