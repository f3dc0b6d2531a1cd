import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephPool, RbdSnapshot } from '../../ceph/client.js';
import type { SnapshotId } from '../../domain/snapshot-id.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { headerBytesIn } from './encryption.js';
import { encryptedKey } from './metadata-keys.js';
import { lookUp, type RegisteredImageSnapshot } from './snapshot-registry.js';

/** A snapshot with the image that has it. */
export interface LocatedSnapshot {
  readonly imageId: string;
  readonly snapshot: RbdSnapshot;
  /** undefined for one that was made by hand. */
  readonly entry: RegisteredImageSnapshot | undefined;
  /** What the LUKS header takes of its size; 0n for an image that isn't encrypted. */
  readonly headerBytes: bigint;
}

/**
 * By the image's name, as for snapshots that were made by hand; else by the registry: the image of a deleted volume lives on under
 * a reserved name while it has snapshots. undefined when there is no such snapshot.
 */
export async function locateSnapshot(
  ctx: CallContext,
  pool: CephPool,
  id: SnapshotId<RbdVolumeId>,
): Promise<LocatedSnapshot | undefined> {
  const entry = await lookUp(ctx, pool, id.name);
  const imageId = entry?.imageId ?? (await ifPresent(pool.images.id(ctx, id.source.image)));
  if (imageId === undefined || (entry !== undefined && entry.image !== id.source.image)) return undefined;
  const snapshots = (await ifPresent(pool.snapshots.list(ctx, imageId))) ?? [];
  const snapshot = snapshots.find(({ name }) => name === id.name);
  if (snapshot === undefined) return undefined;
  const header = await ifPresent(pool.images.headerById(ctx, imageId, [encryptedKey]));
  return header === undefined ? undefined : { imageId, snapshot, entry, headerBytes: headerBytesIn(header.metadata) };
}
