import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import type { SnapshotId } from '../../domain/snapshot-id.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { maxBytesAttribute, snapshotTimeAttribute, usedBytesAttribute } from './attributes.js';
import { sizeOf } from './create-request.js';
import { lookUp, type RegisteredDirectorySnapshot } from './snapshot-registry.js';
import { deletedPath, snapshotPath } from './volume-paths.js';

/** The directory that has a snapshot: the volume's, or where it went when the volume was deleted. */
export interface SnapshotHolder {
  readonly directory: string;
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
  const [entry, status] = await Promise.all([lookUp(ctx, fs, home, id.name), ifPresent(fs.status(ctx, path))]);
  if (entry === undefined) return status === undefined ? undefined : { directory: path, entry };
  if (entry.path !== path) return undefined;
  if (status?.inode.toString() === entry.inode) return { directory: path, entry };
  const deleted = deletedPath(home, path, entry.inode);
  return (await ifPresent(fs.status(ctx, deleted))) === undefined ? undefined : { directory: deleted, entry };
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
