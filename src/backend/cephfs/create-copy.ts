import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { isFinal } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { ContentSource, Volume } from '../backend.js';
import { maxBytesAttribute, recordAttribute } from './attributes.js';
import { copySize, findOrigin, type GroupOfFileSystem, type Origin, releaseOwnSnapshot } from './content-origin.js';
import type { CopyJobs } from './copy-jobs.js';
import { answerExisting, type CreateRequest, setLayoutAndQuota, volumeOf } from './create-request.js';
import { moveInto } from './delete-volume.js';
import { copyPath, homeOf, parentOf } from './volume-paths.js';

const hiddenMode = 0o700;

export interface CopyPlace extends GroupOfFileSystem {
  readonly jobs: CopyJobs;
  /** Something lies in the group's trash now. */
  readonly onTrashed: () => void;
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
  const { id } = request;
  const home = homeOf(fs.root, place.groupPath, id.path);
  const existing = await ifPresent(fs.attributes(ctx, id.path, [recordAttribute, maxBytesAttribute]));
  const hidden = copyPath(home, id.path);
  if (existing?.has(recordAttribute) === true) {
    await releaseOwnSnapshot(ctx, fs, source, id);
    return answerExisting(ctx, fs, request, existing);
  }
  const abandon = async (): Promise<void> => {
    await moveInto({ ...ctx, signal: new AbortController().signal }, fs, hidden, home);
  };
  const { origin, sizeBytes } = await copyWhole(ctx, place, request, source, { hidden, abandon }).catch(
    async (error: unknown) => {
      if (isFinal(error) && (await ifPresent(fs.status(ctx, hidden))) !== undefined) {
        await abandon();
        place.onTrashed();
      }
      throw error;
    },
  );
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

/** The copy under its hidden name. @throws what createCopy() throws. */
async function copyWhole(
  ctx: CallContext,
  place: CopyPlace,
  request: CreateRequest,
  source: ContentSource,
  { hidden, abandon }: { readonly hidden: string; readonly abandon: () => Promise<void> },
): Promise<{ origin: Origin; sizeBytes: bigint }> {
  const { fs } = place;
  const { id, input } = request;
  let origin = await findOrigin(ctx, place, id, source);
  for (;;) {
    const sizeBytes = copySize(origin.sizeBytes, input.capacity);
    await makeHidden(ctx, fs, hidden);
    // The layout has to be there before the first file; the quota is no obstacle, a copy is never larger than it.
    await setLayoutAndQuota(ctx, fs, { ...request, sizeBytes }, hidden);
    const failure = await place.jobs
      .wait(ctx, { fs, key: copyKey(id), from: origin.path, to: hidden, abandon })
      .catch((error: unknown) => {
        if (isCephError(error, errno.ENOENT)) return error;
        throw error;
      });
    // What was copied of a snapshot that has gone meanwhile may be zeros.
    if (failure === undefined && (await ifPresent(fs.status(ctx, origin.path))) !== undefined)
      return { origin, sizeBytes };
    // A volume that is deleted meanwhile takes its snapshots to another place: the copy goes on from there.
    const moved = await findOrigin(ctx, place, id, source);
    if (failure !== undefined && moved.path === origin.path) throw failure;
    origin = moved;
  }
}

/** What the StorageClass says about the directory itself counts more than what the source was like. */
async function setOwn(ctx: CallContext, fs: CephFileSystem, path: string, request: CreateRequest): Promise<void> {
  const { owner } = request.parameters;
  if (owner !== undefined) await fs.setOwner(ctx, path, owner.uid, owner.gid);
  if (request.input.parameters.mode !== undefined) await fs.setMode(ctx, path, request.parameters.mode);
}

/** A deletion that comes while the copy is being made: the copy goes to the trash. @returns whether there was one. */
export async function abandonCopy(
  ctx: CallContext,
  place: Omit<CopyPlace, 'onTrashed'>,
  id: CephfsVolumeId,
): Promise<string | undefined> {
  await place.jobs.cancel(copyKey(id));
  const home = homeOf(place.fs.root, place.groupPath, id.path);
  return (await moveInto(ctx, place.fs, copyPath(home, id.path), home)) ? home : undefined;
}

async function makeHidden(ctx: CallContext, fs: CephFileSystem, path: string): Promise<void> {
  await fs.makeDirectories(ctx, parentOf(path), hiddenMode);
  try {
    await fs.makeDirectory(ctx, path, { mode: hiddenMode, attributes: new Map() });
  } catch (error) {
    if (!isCephError(error, errno.EEXIST)) throw error;
  }
}
