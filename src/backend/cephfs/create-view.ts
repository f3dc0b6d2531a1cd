import type { CephFileSystem } from '../../ceph/client.js';
import { ifPresent } from '../../ceph/ceph-error.js';
import { sizeFits } from '../../domain/capacity.js';
import { DriverError } from '../../domain/errors.js';
import type { SnapshotId } from '../../domain/snapshot-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { ContentSource, Volume } from '../backend.js';
import { sourceText } from '../content-source.js';
import { firstDifference, parseRecord, type ShownSnapshot, type VolumeRecord } from '../volume-record.js';
import { recordAttribute, recordPlace } from './attributes.js';
import { copySize, findSource, type GroupOfFileSystem } from './content-origin.js';
import { conflict, type CreateRequest, volumeOf } from './create-request.js';
import { findShown, readSnapshot, registryKey } from './locate-snapshot.js';
import { makeVolumeDirectory } from './make-directory.js';
import { hold, letGo } from './snapshot-holds.js';
import { lookUp } from './snapshot-registry.js';
import { homeOf } from './volume-paths.js';

/** Only the driver looks into it. */
const viewMode = 0o700;

type SnapshotSource = Extract<ContentSource, { readonly snapshot: SnapshotId }>;

/**
 * A volume that shows a snapshot: a directory with a record of which one, and a hold on the snapshot. The record decides whose the name
 * is; cut off after it, the repeated request takes the hold.
 * @throws DriverError ALREADY_EXISTS, NOT_FOUND, OUT_OF_RANGE, INVALID_ARGUMENT.
 */
export async function createView(
  ctx: CallContext,
  place: GroupOfFileSystem,
  request: CreateRequest,
  source: SnapshotSource,
): Promise<Volume> {
  const { fs } = place;
  const { id } = request;
  const record = (await recorded(ctx, fs, request)) ?? (await claim(ctx, place, request, source));
  const shown = checkedView(request, record);
  const home = homeOf(fs.root, place.groupPath, shown.path);
  const isNew = await hold(ctx, fs, home, shown, id);
  if (!(await isThere(ctx, fs, home, shown, isNew))) {
    await letGo(ctx, fs, home, shown, id);
    await ifPresent(fs.removeDirectory(ctx, id.path));
    throw new DriverError('NOT_FOUND', `snapshot ${sourceText(source)} does not exist`);
  }
  return volumeOf(request, BigInt(record.sizeBytes ?? '0'));
}

async function recorded(
  ctx: CallContext,
  fs: CephFileSystem,
  { id }: CreateRequest,
): Promise<VolumeRecord | undefined> {
  const text = (await ifPresent(fs.attributes(ctx, id.path, [recordAttribute])))?.get(recordAttribute);
  return text === undefined ? undefined : parseRecord(text, recordPlace(id.path));
}

/** @returns the record of whoever was first. */
async function claim(
  ctx: CallContext,
  place: GroupOfFileSystem,
  request: CreateRequest,
  source: SnapshotSource,
): Promise<VolumeRecord> {
  const { fs } = place;
  const { path } = request.id;
  const { holder, facts } = await findSource(ctx, place, request.id, source);
  const sizeBytes = copySize(facts.sizeBytes, request.input.capacity).toString();
  const record: VolumeRecord = { ...request.record, sizeBytes, shows: holder.shown };
  await makeVolumeDirectory(ctx, fs, path, { mode: viewMode, attributes: new Map() });
  if (await fs.setAttribute(ctx, path, recordAttribute, JSON.stringify(record), true)) return record;
  return (await recorded(ctx, fs, request)) ?? record;
}

function checkedView(request: CreateRequest, record: VolumeRecord): ShownSnapshot {
  const difference = firstDifference(record, request.record);
  if (difference !== undefined) throw conflict(request, difference);
  if (record.shows === undefined) throw conflict(request, 'it has its own content, and does not show a snapshot');
  const sizeBytes = BigInt(record.sizeBytes ?? '0');
  if (!sizeFits(sizeBytes, request.input.capacity))
    throw conflict(request, `it has ${sizeBytes.toString()} bytes, which is outside of capacity_range`);
  return record.shows;
}

/** DeleteSnapshot marks the snapshot and then looks for holds; here it is the other way round, so that one of the two sees the other. */
async function isThere(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  shown: ShownSnapshot,
  isNew: boolean,
): Promise<boolean> {
  if (isNew && (await lookUp(ctx, fs, home, registryKey(shown)))?.isDeleted === true) return false;
  const directory = await findShown(ctx, fs, home, shown);
  return directory !== undefined && (await readSnapshot(ctx, fs, directory, shown.snapshot)) !== undefined;
}
