import type { CephPool } from '../../ceph/client.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { limitKeys, type Limits, refuseBadBursts } from './mutable-parameters.js';
import { requireHeader } from './require-header.js';

/**
 * Sets limits in one operation, all or none; those that are not named stay. Clients that have the image open take them over at
 * once, the kernel's excepted.
 * @throws DriverError NOT_FOUND, INVALID_ARGUMENT with nothing changed.
 */
export async function limitImage(ctx: CallContext, pool: CephPool, id: RbdVolumeId, limits: Limits): Promise<void> {
  const { id: imageId, metadata } = await requireHeader(ctx, pool, id, limitKeys);
  if (limits.size === 0) return;
  refuseBadBursts(limits, metadata);
  await pool.images.setMetadata(ctx, imageId, limits);
  // Also when they were there before: a request that was cut off here has told nobody.
  await pool.images.announce(ctx, imageId);
}
