import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool, ImageClone } from '../../ceph/client.js';
import { type CapacityRange, chooseSize } from '../../domain/capacity.js';
import { DriverError } from '../../domain/errors.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { ContentSource } from '../backend.js';
import { sourceText } from '../content-source.js';
import { isTaken } from '../registered-snapshot.js';
import type { ChainStart } from './clone-depth.js';
import type { ImagePools } from './image-pools.js';
import { locateSnapshot } from './locate-snapshot.js';
import { ownSnapshotPrefix } from './reserved-image.js';
import { lookUp } from './snapshot-registry.js';

/** What a clone is made of: a snapshot of an image, taken by a user or for this clone alone. */
export interface CloneOrigin {
  readonly pool: CephPool;
  readonly imageId: string;
  readonly snapshot: string;
  /** Of the image when the snapshot was taken, in bytes. */
  readonly sizeBytes: bigint;
  /** Taken for this clone, which holds on to what it needs: removed once the clone is there. */
  readonly isOwn: boolean;
}

/** Finds out how deep a clone would be. @throws DriverError when it would be too deep. */
export type DepthCheck = (start: ChainStart) => Promise<number>;

export interface FoundOrigin {
  readonly origin: CloneOrigin;
  /** Of a clone of it: 1 when it reads from nothing itself. */
  readonly depth: number;
}

/**
 * Finds the snapshot, or takes one of the volume to be cloned.
 * @throws DriverError NOT_FOUND (no such source), INVALID_ARGUMENT (a source that an image can't be made of), and what depthOf throws.
 */
export async function findOrigin(
  ctx: CallContext,
  pools: ImagePools,
  target: RbdVolumeId,
  source: ContentSource,
  credentials: Credentials | undefined,
  depthOf: DepthCheck,
): Promise<FoundOrigin> {
  const volume = 'snapshot' in source ? source.snapshot.source : source.volume;
  if (volume.backend !== 'rbd' || volume.clusterId !== target.clusterId) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `volume_content_source is ${sourceText(source)}: an RBD image is made of images of its own cluster "${target.clusterId}" only`,
    );
  }
  const { pool } = await pools.open(ctx, volume, credentials);
  const start = { place: volume, pool, image: volume.image };
  if ('volume' in source) {
    const imageId = await ifPresent(pool.images.id(ctx, volume.image));
    if (imageId === undefined) throw missing(source);
    // Before a snapshot is taken, which would keep the chain as it is now.
    const depth = await depthOf({ ...start, imageId, snapshotId: undefined });
    return { origin: await takeOwnSnapshot(ctx, pool, volume, imageId, target), depth };
  }
  const { snapshotId, ...snapshot } = await findSnapshot(ctx, pool, volume, source.snapshot.name);
  const depth = await depthOf({ ...start, imageId: snapshot.imageId, snapshotId });
  return { origin: { pool, ...snapshot, isOwn: false }, depth };
}

interface FoundSnapshot extends Pick<CloneOrigin, 'imageId' | 'snapshot' | 'sizeBytes'> {
  readonly snapshotId: bigint;
}

/** By the registry alone where it knows the snapshot: opening its image to look would take longer than the clone's own look. */
async function findSnapshot(
  ctx: CallContext,
  pool: CephPool,
  volume: RbdVolumeId,
  name: string,
): Promise<FoundSnapshot> {
  const entry = await lookUp(ctx, pool, name);
  if (entry !== undefined && isTaken(entry) && entry.image === volume.image && entry.snapshotId !== undefined) {
    const { imageId, snapshotId, sizeBytes } = entry;
    return { imageId, snapshot: name, snapshotId: BigInt(snapshotId), sizeBytes: BigInt(sizeBytes) };
  }
  const located = await locateSnapshot(ctx, pool, { source: volume, name });
  if (located === undefined) throw missing({ snapshot: { source: volume, name } });
  const { imageId, snapshot } = located;
  return { imageId, snapshot: snapshot.name, snapshotId: snapshot.id, sizeBytes: snapshot.sizeBytes };
}

/** Named after the clone, so that a repeated request uses the one that it has taken before. */
async function takeOwnSnapshot(
  ctx: CallContext,
  pool: CephPool,
  volume: RbdVolumeId,
  imageId: string,
  target: RbdVolumeId,
): Promise<CloneOrigin> {
  const snapshot = ownSnapshotPrefix + target.image;
  try {
    try {
      await pool.snapshots.create(ctx, imageId, snapshot);
    } catch (error) {
      if (!isCephError(error, errno.EEXIST)) throw error;
    }
    const found = (await pool.snapshots.list(ctx, imageId)).find(({ name }) => name === snapshot);
    if (found !== undefined) return { pool, imageId, snapshot, sizeBytes: found.sizeBytes, isOwn: true };
  } catch (error) {
    if (!isCephError(error, errno.ENOENT)) throw error;
  }
  throw missing({ volume });
}

function missing(source: ContentSource): DriverError {
  const what = 'snapshot' in source ? 'snapshot' : 'volume';
  return new DriverError('NOT_FOUND', `${what} ${sourceText(source)} does not exist: there is nothing to clone`);
}

/** The size of a clone: what was asked for, never less than its source. @throws DriverError OUT_OF_RANGE. */
export function cloneSize(sourceBytes: bigint, range: CapacityRange | undefined): bigint {
  if (range === undefined) return sourceBytes;
  if (range.limitBytes !== 0n && range.limitBytes < sourceBytes) {
    throw new DriverError(
      'OUT_OF_RANGE',
      `capacity_range.limit_bytes ${range.limitBytes.toString()} is below the ${sourceBytes.toString()} bytes of the source: a restored volume can't be smaller`,
    );
  }
  return range.requiredBytes > sourceBytes ? chooseSize(range) : sourceBytes;
}

/** @returns false when there is an image of that name already. @throws DriverError NOT_FOUND when the snapshot is gone. */
export async function cloneImage(
  ctx: CallContext,
  origin: CloneOrigin,
  into: CephPool,
  image: string,
  { source, options }: { readonly source: ContentSource; readonly options: ImageClone },
): Promise<boolean> {
  try {
    await origin.pool.snapshots.clone(ctx, origin.imageId, origin.snapshot, into, image, options);
    return true;
  } catch (error) {
    if (isCephError(error, errno.EEXIST)) return false;
    if (isCephError(error, errno.ENOENT) && 'snapshot' in source && !(await isThere(ctx, origin)))
      throw missing(source);
    throw error;
  }
}

/** Somebody may have removed what the registry still has. */
async function isThere(ctx: CallContext, { pool, imageId, snapshot }: CloneOrigin): Promise<boolean> {
  const snapshots = (await ifPresent(pool.snapshots.list(ctx, imageId))) ?? [];
  return snapshots.some(({ name }) => name === snapshot);
}

/** Afterwards the clone alone holds on to the content. One that is gone already is fine. */
export async function releaseOrigin(ctx: CallContext, origin: CloneOrigin): Promise<void> {
  if (!origin.isOwn) return;
  try {
    await origin.pool.snapshots.remove(ctx, origin.imageId, origin.snapshot);
  } catch (error) {
    if (!isCephError(error, errno.ENOENT)) throw error;
  }
}
