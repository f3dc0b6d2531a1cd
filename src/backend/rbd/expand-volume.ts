import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool, ImageHeader } from '../../ceph/client.js';
import { type CapacityRange, growSize } from '../../domain/capacity.js';
import { DriverError } from '../../domain/errors.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';

/** @returns the image's size afterwards, in bytes. @throws DriverError NOT_FOUND, OUT_OF_RANGE. */
export async function growImage(
  ctx: CallContext,
  pool: CephPool,
  id: RbdVolumeId,
  range: CapacityRange,
): Promise<bigint> {
  const { sizeBytes: currentBytes } = await headerOf(ctx, pool, id);
  const sizeBytes = growSize(currentBytes, range);
  return sizeBytes > currentBytes ? pool.images.grow(ctx, id.image, sizeBytes) : sizeBytes;
}

async function headerOf(ctx: CallContext, pool: CephPool, id: RbdVolumeId): Promise<ImageHeader> {
  try {
    return await pool.images.header(ctx, id.image, []);
  } catch (error) {
    if (!isCephError(error, errno.ENOENT)) throw error;
    throw new DriverError('NOT_FOUND', `volume ${formatVolumeId(id)} does not exist: there is no image "${id.image}"`, {
      cause: error,
    });
  }
}
