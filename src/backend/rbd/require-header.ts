import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool, ImageHeader } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';

/** The header of a volume that must be there. @throws DriverError NOT_FOUND. */
export async function requireHeader(
  ctx: CallContext,
  pool: CephPool,
  id: RbdVolumeId,
  metadataKeys: readonly string[] = [],
): Promise<ImageHeader> {
  try {
    return await pool.images.header(ctx, id.image, metadataKeys);
  } catch (error) {
    if (!isCephError(error, errno.ENOENT)) throw error;
    throw new DriverError('NOT_FOUND', `volume ${formatVolumeId(id)} does not exist: there is no image "${id.image}"`, {
      cause: error,
    });
  }
}
