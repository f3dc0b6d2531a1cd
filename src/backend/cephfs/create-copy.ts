import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { type CapacityRange, chooseSize, sizeFits } from '../../domain/capacity.js';
import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { ContentSource, Volume } from '../backend.js';
import { sourceText } from '../content-source.js';
import { maxBytesAttribute, recordAttribute, usedBytesAttribute } from './attributes.js';
import type { CopyJobs } from './copy-jobs.js';
import { answerExisting, type CreateRequest, quotaFor, setLayoutAndQuota, sizeOf, volumeOf } from './create-request.js';
import { moveInto } from './delete-volume.js';
import { ownSnapshotPrefix } from './deleted-directory.js';
import { findHolder, readSnapshot } from './locate-snapshot.js';
import { copyPath, homeOf, parentOf, snapshotPath } from './volume-paths.js';

const hiddenMode = 0o700;

/** What is copied: a snapshot that a user has taken, or one that was taken for this copy alone. */
interface Origin {
  readonly path: string;
  readonly sizeBytes: bigint;
  readonly isOwn: boolean;
}

export interface CopyPlace {
  readonly fs: CephFileSystem;
  readonly jobs: CopyJobs;
  readonly groupPath: string;
}

/** Equal for requests that make the same volume. */
export function copyKey(id: CephfsVolumeId): string {
  return formatVolumeId(id);
}

/**
 * A volume made of a snapshot or of another volume: a copy, made whole under a hidden name and renamed into place with its record and
 * quota. Cut off, the repeated request goes on with the copy that there is.
 * @throws DriverError ABORTED with the progress while it is being made; NOT_FOUND, OUT_OF_RANGE, INVALID_ARGUMENT.
 */
export async function createCopy(
  ctx: CallContext,
  place: CopyPlace,
  request: CreateRequest,
  source: ContentSource,
): Promise<Volume> {
  const { fs } = place;
  const { id, input } = request;
  const home = homeOf(fs.root, place.groupPath, id.path);
  const existing = await ifPresent(fs.attributes(ctx, id.path, [recordAttribute, maxBytesAttribute]));
  const hidden = copyPath(home, id.path);
  if (existing?.has(recordAttribute) === true) {
    await releaseOwnSnapshot(ctx, fs, source, id);
    return answerExisting(ctx, fs, request, existing);
  }
  const origin = await findOrigin(ctx, place, id, source);
  const sizeBytes = copySize(origin.sizeBytes, input.capacity);
  await makeHidden(ctx, fs, hidden);
  // The layout has to be there before the first file; the quota is no obstacle, a copy is never larger than it.
  await setLayoutAndQuota(ctx, fs, { ...request, sizeBytes }, hidden);
  await place.jobs.wait(ctx, {
    fs,
    key: copyKey(id),
    from: origin.path,
    to: hidden,
    abandon: async () => {
      await moveInto({ ...ctx, signal: new AbortController().signal }, fs, hidden, home);
    },
  });
  await setOwn(ctx, fs, hidden, request);
  await fs.setAttribute(
    ctx,
    hidden,
    recordAttribute,
    JSON.stringify({ ...request.record, sizeBytes: sizeBytes.toString() }),
  );
  await fs.rename(ctx, hidden, id.path);
  if (origin.isOwn) await releaseOwnSnapshot(ctx, fs, source, id);
  return volumeOf(request, sizeBytes);
}

/** What the StorageClass says about the directory itself counts more than what the source was like. */
async function setOwn(ctx: CallContext, fs: CephFileSystem, path: string, request: CreateRequest): Promise<void> {
  const { owner } = request.parameters;
  if (owner !== undefined) await fs.setOwner(ctx, path, owner.uid, owner.gid);
  if (request.input.parameters.mode !== undefined) await fs.setMode(ctx, path, request.parameters.mode);
}

/** A deletion that comes while the copy is being made: the copy goes to the trash. @returns whether there was one. */
export async function abandonCopy(ctx: CallContext, place: CopyPlace, id: CephfsVolumeId): Promise<string | undefined> {
  await place.jobs.cancel(copyKey(id));
  const home = homeOf(place.fs.root, place.groupPath, id.path);
  return (await moveInto(ctx, place.fs, copyPath(home, id.path), home)) ? home : undefined;
}

async function findOrigin(
  ctx: CallContext,
  place: CopyPlace,
  target: CephfsVolumeId,
  source: ContentSource,
): Promise<Origin> {
  const volume = 'snapshot' in source ? source.snapshot.source : source.volume;
  if (volume.backend !== 'cephfs' || volume.clusterId !== target.clusterId || volume.fsName !== target.fsName) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `volume_content_source is ${sourceText(source)}: a CephFS volume is made of what is in its own file system "${target.fsName}" of cluster "${target.clusterId}" only`,
    );
  }
  if ('volume' in source) return takeOwnSnapshot(ctx, place.fs, volume, target, source);
  const sourceHome = homeOf(place.fs.root, place.groupPath, volume.path);
  const holder = await findHolder(ctx, place.fs, sourceHome, { source: volume, name: source.snapshot.name });
  const facts =
    holder === undefined ? undefined : await readSnapshot(ctx, place.fs, holder.directory, source.snapshot.name);
  if (holder === undefined || facts === undefined)
    throw new DriverError('NOT_FOUND', `snapshot ${sourceText(source)} does not exist`);
  return { path: snapshotPath(holder.directory, source.snapshot.name), sizeBytes: facts.sizeBytes, isOwn: false };
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

async function releaseOwnSnapshot(
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
function copySize(sourceBytes: bigint, range: CapacityRange | undefined): bigint {
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

async function makeHidden(ctx: CallContext, fs: CephFileSystem, path: string): Promise<void> {
  await fs.makeDirectories(ctx, parentOf(path), hiddenMode);
  try {
    await fs.makeDirectory(ctx, path, { mode: hiddenMode, attributes: new Map() });
  } catch (error) {
    if (!isCephError(error, errno.EEXIST)) throw error;
  }
}
