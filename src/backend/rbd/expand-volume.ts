import type { CephPool } from '../../ceph/client.js';
import { type CapacityRange, growSize } from '../../domain/capacity.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { requireHeader } from './require-header.js';

/** @returns the image's size afterwards, in bytes. @throws DriverError NOT_FOUND, OUT_OF_RANGE. */
export async function growImage(
  ctx: CallContext,
  pool: CephPool,
  id: RbdVolumeId,
  range: CapacityRange,
): Promise<bigint> {
  const { sizeBytes: currentBytes } = await requireHeader(ctx, pool, id);
  const sizeBytes = growSize(currentBytes, range);
  return sizeBytes > currentBytes ? pool.images.grow(ctx, id.image, sizeBytes) : sizeBytes;
}
