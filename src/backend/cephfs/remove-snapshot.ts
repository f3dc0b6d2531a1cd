import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { ShownSnapshot } from '../volume-record.js';
import { hasUserSnapshots } from './deleted-directory.js';
import { moveInto } from './delete-volume.js';
import { findShown, registryKey } from './locate-snapshot.js';
import { isHeld, letGo } from './snapshot-holds.js';
import { forget, lookUp, markDeleted } from './snapshot-registry.js';
import { readView } from './views.js';
import { homeOf, homeOfDeleted, snapshotPath } from './volume-paths.js';

export interface RemovalPlace extends Pick<CephfsVolumeId, 'clusterId' | 'fsName'> {
  readonly fs: CephFileSystem;
  /** The directory whose hidden one has the registry. */
  readonly home: string;
  /** @throws DriverError ABORTED while the snapshot is being copied. */
  readonly refuseWhileCopied: (path: string) => void;
  /** A directory has been moved into the trash of this one, or into one that it remembers. */
  readonly onTrashed: (home: string) => void;
}

/**
 * Removes a snapshot, unless volumes show it, who keep it until the last of them is deleted. It is marked before they are looked for,
 * so that none comes in between. The last snapshot of a deleted volume takes its directory along. Repeated after a crash, it goes on.
 */
export async function removeSnapshot(
  ctx: CallContext,
  place: RemovalPlace,
  shown: ShownSnapshot,
  directory: string,
): Promise<void> {
  const { fs, home } = place;
  const path = snapshotPath(directory, shown.snapshot);
  const key = registryKey(shown);
  const entry = await lookUp(ctx, fs, home, key);
  // Neither ours nor there: nothing to remember anything about.
  if (entry === undefined && (await ifPresent(fs.status(ctx, path))) === undefined) return;
  place.refuseWhileCopied(path);
  const { path: of, inode } = shown;
  await markDeleted(ctx, fs, home, key, entry ?? { version: 1, name: shown.snapshot, path: of, inode });
  if (await isHeld(ctx, fs, place, shown)) return;
  await removeFrom(ctx, place, shown, directory);
  // A DeleteVolume may have moved the directory meanwhile, with the snapshot in it.
  const now = await findShown(ctx, fs, home, shown);
  if (now !== undefined && now !== directory) await removeFrom(ctx, place, shown, now);
  await forget(ctx, fs, home, key);
}

async function removeFrom(
  ctx: CallContext,
  { fs, home, onTrashed }: RemovalPlace,
  { snapshot }: ShownSnapshot,
  directory: string,
): Promise<void> {
  await ifPresent(fs.removeDirectory(ctx, snapshotPath(directory, snapshot)));
  const deletedIn = homeOfDeleted(directory);
  if (deletedIn === undefined || (await hasUserSnapshots(ctx, fs, directory))) return;
  if (await moveInto(ctx, fs, directory, deletedIn)) onTrashed(home);
}

/** The record goes last: a repeated request finds what the first has left. */
export async function deleteView(
  ctx: CallContext,
  place: Omit<RemovalPlace, 'home'>,
  id: CephfsVolumeId,
  groupPath: string,
): Promise<void> {
  const { fs } = place;
  const view = await readView(ctx, fs, id);
  if (view === undefined) return;
  const home = homeOf(fs.root, groupPath, view.path);
  await letGo(ctx, fs, home, view, id);
  const entry = await lookUp(ctx, fs, home, registryKey(view));
  if (entry?.isDeleted === true) {
    const directory = await findShown(ctx, fs, home, view);
    if (directory !== undefined) await removeSnapshot(ctx, { ...place, home }, view, directory);
    else await forget(ctx, fs, home, registryKey(view));
  }
  const trash = homeOf(fs.root, groupPath, id.path);
  if (await moveInto(ctx, fs, id.path, trash)) place.onTrashed(trash);
}
