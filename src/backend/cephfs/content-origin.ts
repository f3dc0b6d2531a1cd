import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { type CapacityRange, chooseSize, sizeFits } from '../../domain/capacity.js';
import { DriverError } from '../../domain/errors.js';
import type { SnapshotId } from '../../domain/snapshot-id.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { ContentSource } from '../backend.js';
import { sourceText } from '../content-source.js';
import { maxBytesAttribute, usedBytesAttribute } from './attributes.js';
import { quotaFor, sizeOf } from './create-request.js';
import { ownSnapshotPrefix } from './deleted-directory.js';
import { findHolder, findShown, readSnapshot, type SnapshotFacts, type SnapshotHolder } from './locate-snapshot.js';
import { readView } from './views.js';
import { homeOf, snapshotPath } from './volume-paths.js';

/** What is copied: a snapshot that a user has taken, or one that was taken for this copy alone. */
export interface Origin {
  readonly path: string;
  readonly sizeBytes: bigint;
  readonly isOwn: boolean;
}

export interface GroupOfFileSystem {
  readonly fs: CephFileSystem;
  readonly groupPath: string;
}

export async function findOrigin(
  ctx: CallContext,
  place: GroupOfFileSystem,
  target: CephfsVolumeId,
  source: ContentSource,
): Promise<Origin> {
  const volume = sourceVolume(target, source);
  if ('snapshot' in source) {
    const { holder, facts } = await findSource(ctx, place, target, source);
    return { path: snapshotPath(holder.directory, source.snapshot.name), sizeBytes: facts.sizeBytes, isOwn: false };
  }
  return volume.isView === true
    ? shownOrigin(ctx, place, volume, source)
    : takeOwnSnapshot(ctx, place.fs, volume, target, source);
}

/** The snapshot that a volume is made of. @throws DriverError NOT_FOUND, INVALID_ARGUMENT. */
export async function findSource(
  ctx: CallContext,
  { fs, groupPath }: GroupOfFileSystem,
  target: CephfsVolumeId,
  source: Extract<ContentSource, { readonly snapshot: SnapshotId }>,
): Promise<{ readonly holder: SnapshotHolder; readonly facts: SnapshotFacts }> {
  const volume = sourceVolume(target, source);
  const { name } = source.snapshot;
  const holder = await findHolder(ctx, fs, homeOf(fs.root, groupPath, volume.path), { source: volume, name });
  const facts =
    holder === undefined || holder.entry?.isDeleted === true
      ? undefined
      : await readSnapshot(ctx, fs, holder.directory, name);
  if (holder === undefined || facts === undefined)
    throw new DriverError('NOT_FOUND', `snapshot ${sourceText(source)} does not exist`);
  return { holder, facts };
}

function sourceVolume(target: CephfsVolumeId, source: ContentSource): CephfsVolumeId {
  const volume = 'snapshot' in source ? source.snapshot.source : source.volume;
  if (volume.backend === 'cephfs' && volume.clusterId === target.clusterId && volume.fsName === target.fsName)
    return volume;
  throw new DriverError(
    'INVALID_ARGUMENT',
    `volume_content_source is ${sourceText(source)}: a CephFS volume is made of what is in its own file system "${target.fsName}" of cluster "${target.clusterId}" only`,
  );
}

/** Of a volume that shows a snapshot, that snapshot is copied. */
async function shownOrigin(
  ctx: CallContext,
  { fs, groupPath }: GroupOfFileSystem,
  volume: CephfsVolumeId,
  source: ContentSource,
): Promise<Origin> {
  const view = await readView(ctx, fs, volume);
  const directory =
    view === undefined ? undefined : await findShown(ctx, fs, homeOf(fs.root, groupPath, view.path), view);
  if (view === undefined || directory === undefined)
    throw new DriverError('NOT_FOUND', `volume ${sourceText(source)} does not exist`);
  return { path: snapshotPath(directory, view.snapshot), sizeBytes: view.sizeBytes, isOwn: false };
}

async function takeOwnSnapshot(
  ctx: CallContext,
  fs: CephFileSystem,
  volume: CephfsVolumeId,
  target: CephfsVolumeId,
  source: ContentSource,
): Promise<Origin> {
  const path = ownSnapshotPath(volume, target);
  try {
    const found = await fs.attributes(ctx, volume.path, [maxBytesAttribute, usedBytesAttribute]);
    try {
      await fs.makeDirectory(ctx, path, { mode: 0o755, attributes: new Map() });
    } catch (error) {
      if (!isCephError(error, errno.EEXIST)) throw error;
    }
    const sizeBytes = sizeOf(found.get(maxBytesAttribute)) ?? BigInt(found.get(usedBytesAttribute) ?? '0');
    return { path, sizeBytes, isOwn: true };
  } catch (error) {
    if (!isCephError(error, errno.ENOENT)) throw error;
    throw new DriverError('NOT_FOUND', `volume ${sourceText(source)} does not exist`, { cause: error });
  }
}

export async function releaseOwnSnapshot(
  ctx: CallContext,
  fs: CephFileSystem,
  source: ContentSource,
  target: CephfsVolumeId,
): Promise<void> {
  if (!('volume' in source) || source.volume.backend !== 'cephfs') return;
  await ifPresent(fs.removeDirectory(ctx, ownSnapshotPath(source.volume, target)));
}

function ownSnapshotPath(volume: CephfsVolumeId, target: CephfsVolumeId): string {
  return snapshotPath(volume.path, ownSnapshotPrefix + target.path.slice(target.path.lastIndexOf('/') + 1));
}

/** @throws DriverError OUT_OF_RANGE. */
export function copySize(sourceBytes: bigint, range: CapacityRange | undefined): bigint {
  if (range === undefined) return sourceBytes === 0n ? chooseSize(undefined) : sourceBytes;
  if (range.limitBytes !== 0n && range.limitBytes < sourceBytes) {
    throw new DriverError(
      'OUT_OF_RANGE',
      `capacity_range.limit_bytes ${range.limitBytes.toString()} is below the ${sourceBytes.toString()} bytes of the source: a restored volume can't be smaller`,
    );
  }
  if (range.requiredBytes > sourceBytes) return quotaFor(range);
  return sizeFits(sourceBytes, range) ? sourceBytes : quotaFor(range);
}
