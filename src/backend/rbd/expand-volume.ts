import type { CephPool } from '../../ceph/client.js';
import { type CapacityRange, growSize } from '../../domain/capacity.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { headerBytesIn } from './encryption.js';
import { encryptedKey } from './metadata-keys.js';
import { requireHeader } from './require-header.js';

/** @returns the volume's size afterwards, in bytes. @throws DriverError NOT_FOUND, OUT_OF_RANGE. */
export async function growImage(
  ctx: CallContext,
  pool: CephPool,
  id: RbdVolumeId,
  range: CapacityRange,
): Promise<bigint> {
  const { sizeBytes: imageBytes, metadata } = await requireHeader(ctx, pool, id, [encryptedKey]);
  const headerBytes = headerBytesIn(metadata);
  const sizeBytes = growSize(imageBytes - headerBytes, range);
  if (sizeBytes + headerBytes <= imageBytes) return sizeBytes;
  return (await pool.images.grow(ctx, id.image, sizeBytes + headerBytes)) - headerBytes;
}
