import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import type { CallContext } from '../../platform/call-context.js';
import { snapshotPath, snapshotsPath } from './volume-paths.js';

/** Taken to copy a volume, and not a user's. */
export const ownSnapshotPrefix = 'cuttle-copy-';
/** CephFS shows the snapshots of directories above as `_NAME_INODE`. */
const inheritedPrefix = '_';

/** Snapshots of this very directory that somebody may still want; the driver's own, which a cut-off copy has left, are removed. */
export async function hasUserSnapshots(ctx: CallContext, fs: CephFileSystem, directory: string): Promise<boolean> {
  const entries = (await listed(ctx, fs, directory)).filter((name) => !name.startsWith(inheritedPrefix));
  const own = entries.filter((name) => name.startsWith(ownSnapshotPrefix));
  for (const name of own) await ifPresent(fs.removeDirectory(ctx, snapshotPath(directory, name)));
  return own.length < entries.length;
}

async function listed(ctx: CallContext, fs: CephFileSystem, directory: string): Promise<string[]> {
  return ((await ifPresent(fs.list(ctx, snapshotsPath(directory)))) ?? []).map(({ name }) => name);
}
