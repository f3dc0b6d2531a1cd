import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { type CapacityRange, growSize } from '../../domain/capacity.js';
import { DriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { maxBytesAttribute } from './attributes.js';
import { quotaFor, sizeOf } from './create-request.js';
import { readView } from './views.js';

/** For a volume that shows a snapshot. @returns its size. @throws DriverError NOT_FOUND, OUT_OF_RANGE. */
export async function keepSize(
  ctx: CallContext,
  fs: CephFileSystem,
  id: CephfsVolumeId,
  range: CapacityRange,
): Promise<bigint> {
  const view = await readView(ctx, fs, id);
  if (view === undefined) {
    throw new DriverError('NOT_FOUND', `volume ${formatVolumeId(id)} does not exist: ${id.path} shows no snapshot`);
  }
  if (growSize(view.sizeBytes, range) === view.sizeBytes) return view.sizeBytes;
  throw new DriverError(
    'OUT_OF_RANGE',
    `volume ${formatVolumeId(id)} shows a snapshot and keeps its ${view.sizeBytes.toString()} bytes: make a copy of the snapshot, which can grow`,
  );
}

/** @returns the volume's size afterwards, in bytes. @throws DriverError NOT_FOUND, OUT_OF_RANGE. */
export async function growQuota(
  ctx: CallContext,
  fs: CephFileSystem,
  id: CephfsVolumeId,
  range: CapacityRange,
): Promise<bigint> {
  const found = await ifPresent(fs.attributes(ctx, id.path, [maxBytesAttribute]));
  if (found === undefined) {
    throw new DriverError(
      'NOT_FOUND',
      `volume ${formatVolumeId(id)} does not exist: there is no directory ${id.path} in file system "${id.fsName}"`,
    );
  }
  const currentBytes = sizeOf(found.get(maxBytesAttribute));
  // A directory without a quota is larger than anything that may be asked for; giving it one would take space away.
  if (currentBytes === undefined) return growSize(range.requiredBytes, range);
  if (growSize(currentBytes, range) === currentBytes) return currentBytes;
  const sizeBytes = quotaFor(range);
  await fs.setAttribute(ctx, id.path, maxBytesAttribute, sizeBytes.toString());
  return sizeBytes;
}
