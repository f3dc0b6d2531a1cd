import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import type { SnapshotId } from '../../domain/snapshot-id.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { looksTaken } from '../object-name.js';
import type { ShownSnapshot } from '../volume-record.js';
import { maxBytesAttribute, snapshotTimeAttribute, usedBytesAttribute } from './attributes.js';
import { sizeOf } from './create-request.js';
import { lookUp, type RegisteredDirectorySnapshot } from './snapshot-registry.js';
import { deletedHomes, deletedPath, snapshotPath } from './volume-paths.js';

/** The directory that has a snapshot: the volume's, or where it went when the volume was deleted. */
export interface SnapshotHolder {
  readonly directory: string;
  readonly shown: ShownSnapshot;
  /** undefined for one that was made by hand. */
  readonly entry: RegisteredDirectorySnapshot | undefined;
}

/** undefined when neither is there. The directory need not have the snapshot (any more). */
export async function findHolder(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  id: SnapshotId<CephfsVolumeId>,
): Promise<SnapshotHolder | undefined> {
  const { path } = id.source;
  const [named, status] = await Promise.all([lookUp(ctx, fs, home, id.name), ifPresent(fs.status(ctx, path))]);
  const inode = named?.inode ?? status?.inode.toString();
  if (inode === undefined || (named !== undefined && named.path !== path)) return undefined;
  const shown = { path, inode, snapshot: id.name };
  const key = registryKey(shown);
  const entry = named === undefined && key !== id.name ? await lookUp(ctx, fs, home, key) : named;
  if (status?.inode.toString() === inode) return { directory: path, shown, entry };
  const directory = await findDeleted(ctx, fs, home, shown);
  return directory === undefined ? undefined : { directory, shown, entry };
}

/** Where the directory with the snapshot is now; undefined when it is gone. */
export async function findShown(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  shown: ShownSnapshot,
): Promise<string | undefined> {
  const status = await ifPresent(fs.status(ctx, shown.path));
  return status?.inode.toString() === shown.inode ? shown.path : findDeleted(ctx, fs, home, shown);
}

async function findDeleted(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  { path, inode }: ShownSnapshot,
): Promise<string | undefined> {
  for (const place of deletedHomes(fs.root, home, path)) {
    const directory = deletedPath(place, path, inode);
    if ((await ifPresent(fs.status(ctx, directory))) !== undefined) return directory;
  }
  return undefined;
}

/** The name of a snapshot's entry in the registry. Those made by hand have the same names in many directories. */
export function registryKey({ snapshot, inode }: ShownSnapshot): string {
  return looksTaken(snapshot) ? snapshot : `${snapshot}.${inode}`;
}

export interface SnapshotFacts {
  readonly sizeBytes: bigint;
  readonly createdMs: number;
}

/** What the snapshot itself says; undefined when it is not there. */
export async function readSnapshot(
  ctx: CallContext,
  fs: CephFileSystem,
  directory: string,
  name: string,
): Promise<SnapshotFacts | undefined> {
  const names = [snapshotTimeAttribute, maxBytesAttribute, usedBytesAttribute];
  const found = await ifPresent(fs.attributes(ctx, snapshotPath(directory, name), names));
  if (found === undefined) return undefined;
  const [seconds = '0', fraction = ''] = (found.get(snapshotTimeAttribute) ?? '').split('.');
  const sizeBytes = sizeOf(found.get(maxBytesAttribute)) ?? BigInt(found.get(usedBytesAttribute) ?? '0');
  // The fraction is in nanoseconds, written with nine digits or without leading zeros.
  return {
    sizeBytes,
    createdMs: Number(seconds) * 1000 + Math.floor(Number(fraction.padStart(9, '0').slice(0, 9)) / 1e6),
  };
}
