import { basename } from 'node:path/posix';
import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { ShownSnapshot } from '../volume-record.js';
import { registryKey } from './locate-snapshot.js';
import { forget, lookUp } from './snapshot-registry.js';
import { registryPath } from './volume-paths.js';
import { readView } from './views.js';

/*
 * A volume that shows a snapshot holds it, by a directory of its own name in the snapshot's entry of the registry. The volume's record
 * is written before, and goes after: a hold without it is nobody's.
 */
const holdMode = 0o700;

/** @returns false when it is held by this volume already. */
export async function hold(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  shown: ShownSnapshot,
  volume: CephfsVolumeId,
): Promise<boolean> {
  const path = holdPath(home, shown, volume);
  // A snapshot that was made by hand has no entry.
  await fs.makeDirectories(ctx, holdsPath(home, shown), holdMode);
  try {
    await fs.makeDirectory(ctx, path, { mode: holdMode, attributes: new Map() });
    return true;
  } catch (error) {
    if (isCephError(error, errno.EEXIST)) return false;
    throw error;
  }
}

export async function letGo(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  shown: ShownSnapshot,
  volume: CephfsVolumeId,
): Promise<void> {
  await ifPresent(fs.removeDirectory(ctx, holdPath(home, shown, volume)));
  if ((await lookUp(ctx, fs, home, registryKey(shown))) !== undefined) return;
  // Of a snapshot without an entry, the holds alone were there.
  try {
    await forget(ctx, fs, home, registryKey(shown));
  } catch (error) {
    if (!isCephError(error, errno.ENOTEMPTY)) throw error;
  }
}

/** Is there a volume that shows this snapshot? What volumes have left that are gone is removed. */
export async function isHeld(
  ctx: CallContext,
  fs: CephFileSystem,
  place: Pick<CephfsVolumeId, 'clusterId' | 'fsName'> & { readonly home: string },
  shown: ShownSnapshot,
): Promise<boolean> {
  const holds = (await ifPresent(fs.list(ctx, holdsPath(place.home, shown)))) ?? [];
  let isHeld = false;
  for (const { name } of holds) {
    const { clusterId, fsName, home } = place;
    const volume: CephfsVolumeId = { backend: 'cephfs', clusterId, fsName, path: `${home}/${name}`, isView: true };
    const view = await readView(ctx, fs, volume);
    if (view?.inode === shown.inode && view.snapshot === shown.snapshot) isHeld = true;
    else await letGo(ctx, fs, home, shown, volume);
  }
  return isHeld;
}

function holdPath(home: string, shown: ShownSnapshot, volume: CephfsVolumeId): string {
  return `${holdsPath(home, shown)}/${basename(volume.path)}`;
}

function holdsPath(home: string, shown: ShownSnapshot): string {
  return `${registryPath(home)}/${registryKey(shown)}`;
}
