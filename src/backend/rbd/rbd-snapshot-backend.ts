import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool } from '../../ceph/client.js';
import { DriverError, isDriverError } from '../../domain/errors.js';
import { formatSnapshotId, type SnapshotId } from '../../domain/snapshot-id.js';
import type { Reach } from '../../domain/topology.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { CreateSnapshotInput, Snapshot, SnapshotBackend, SnapshotPage } from '../backend.js';
import { snapshotNameFor } from '../object-name.js';
import { formatPageToken, parsePageToken } from '../page-token.js';
import { isTaken } from '../registered-snapshot.js';
import { parseRecord } from '../volume-record.js';
import type { ImagePools } from './image-pools.js';
import { locateSnapshot } from './locate-snapshot.js';
import { recordKey, recordPlace } from './metadata-keys.js';
import { poolsInOrder } from './pools-in-order.js';
import { discardIfUnneeded } from './reserved-image.js';
import {
  complete,
  forget,
  lookUp,
  register,
  registered,
  type RegisteredImageSnapshot,
  type TakenSnapshot,
} from './snapshot-registry.js';

/** RBD's snapshots behind the Controller service: one on the image, one key in the pool's registry. */
export class RbdSnapshotBackend implements SnapshotBackend<RbdVolumeId> {
  readonly #pools: ImagePools;
  /** Something of ours has been put into this pool's trash. */
  readonly #onTrashed: (id: RbdVolumeId, credentials: Credentials | undefined) => void;

  constructor(pools: ImagePools, onTrashed: (id: RbdVolumeId, credentials: Credentials | undefined) => void) {
    this.#pools = pools;
    this.#onTrashed = onTrashed;
  }

  /** The name is registered first, which decides whose it is; cut off afterwards, the repeated request goes on from there. */
  async create(ctx: CallContext, input: CreateSnapshotInput<RbdVolumeId>): Promise<Snapshot> {
    const { source, name } = input;
    const { pool } = await this.#pools.open(ctx, source, input.credentials);
    const { id: imageId, reach } = await sourceImage(ctx, pool, source);
    const snapshot = snapshotNameFor(name);
    const own: RegisteredImageSnapshot = {
      ...{ version: 1, name, image: source.image, imageId },
      ...(reach === undefined ? {} : { reach }),
    };
    const entry = await register(ctx, pool, snapshot, own);
    if (entry.imageId !== imageId) {
      throw new DriverError(
        'ALREADY_EXISTS',
        `snapshot "${name}" exists already, of image ${source.pool}/${entry.image} and not of ${source.pool}/${source.image}: use another name`,
      );
    }
    const id = { source, name: snapshot };
    if (isTaken(entry)) return snapshotOf(id, entry);
    await takeOnce(ctx, pool, imageId, snapshot);
    const located = await locateSnapshot(ctx, pool, id);
    if (located === undefined) {
      throw new DriverError(
        'ABORTED',
        `snapshot ${formatSnapshotId(id)} is being deleted at this moment: repeat the request`,
      );
    }
    const { headerBytes, snapshot: found } = located;
    const { id: snapshotId, sizeBytes, createdMs } = found;
    const taken = {
      ...entry,
      sizeBytes: sizeBytes.toString(),
      createdMs,
      snapshotId: snapshotId.toString(),
      ...(headerBytes === 0n ? {} : { headerBytes: headerBytes.toString() }),
    };
    await complete(ctx, pool, snapshot, taken);
    return snapshotOf(id, taken);
  }

  /** The registry's key goes last: a repeated request still finds what the first has left. */
  async delete(ctx: CallContext, id: SnapshotId<RbdVolumeId>, credentials: Credentials | undefined): Promise<void> {
    try {
      const { pool } = await this.#pools.open(ctx, id.source, credentials);
      const entry = await lookUp(ctx, pool, id.name);
      const imageId = entry?.imageId ?? (await ifPresent(pool.images.id(ctx, id.source.image)));
      if (imageId !== undefined) {
        await ifPresent(pool.snapshots.remove(ctx, imageId, id.name));
        if (await discardIfUnneeded(ctx, pool, imageId)) this.#onTrashed(id.source, credentials);
      }
      if (entry !== undefined) await forget(ctx, pool, id.name);
    } catch (error) {
      // The pool itself is gone, and with it the snapshot.
      if (isCephError(error, errno.ENOENT) && isDriverError(error, 'NOT_FOUND')) return;
      throw error;
    }
  }

  async find(
    ctx: CallContext,
    id: SnapshotId<RbdVolumeId>,
    credentials: Credentials | undefined,
  ): Promise<Snapshot | undefined> {
    try {
      const { pool } = await this.#pools.open(ctx, id.source, credentials);
      const found = await locateSnapshot(ctx, pool, id);
      if (found === undefined) return undefined;
      const { sizeBytes, createdMs } = found.snapshot;
      return { id, sizeBytes: sizeBytes - found.headerBytes, createdMs, reach: found.entry?.reach };
    } catch (error) {
      if (isDriverError(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async of(ctx: CallContext, source: RbdVolumeId): Promise<readonly Snapshot[]> {
    if (this.#pools.clusters.find(source.clusterId) === undefined) return [];
    const found: Snapshot[] = [];
    try {
      const { pool } = await this.#pools.open(ctx, source, undefined);
      for await (const { snapshot, entry } of registered(ctx, pool, '')) {
        if (entry.image === source.image) found.push(snapshotOf({ source, name: snapshot }, entry));
      }
    } catch (error) {
      if (!isDriverError(error, 'NOT_FOUND')) throw error;
    }
    return found;
  }

  async list(ctx: CallContext, after: string, max: number): Promise<SnapshotPage> {
    const start = after === '' ? undefined : parsePageToken(after, 3);
    const snapshots: Snapshot[] = [];
    let last = '';
    for await (const { clusterId, pool } of poolsInOrder(ctx, this.#pools, start)) {
      const here = start?.[0] === clusterId && start[1] === pool.name;
      for await (const { snapshot, entry } of registered(ctx, pool, here ? (start[2] ?? '') : '')) {
        // One more than asked for tells whether there is another page.
        if (max > 0 && snapshots.length === max) return { snapshots, next: last };
        const source = {
          backend: 'rbd',
          clusterId,
          pool: pool.name,
          namespace: pool.namespace,
          image: entry.image,
        } as const;
        snapshots.push(snapshotOf({ source, name: snapshot }, entry));
        last = formatPageToken([clusterId, pool.name, snapshot]);
      }
    }
    return { snapshots, next: undefined };
  }
}

/** With its place, where that was chosen: whoever lists snapshots later may find no image of that name any more. */
async function sourceImage(
  ctx: CallContext,
  pool: CephPool,
  source: RbdVolumeId,
): Promise<{ readonly id: string; readonly reach: Reach | undefined }> {
  const header = await ifPresent(pool.images.header(ctx, source.image, [recordKey]));
  if (header === undefined) {
    throw new DriverError(
      'NOT_FOUND',
      `volume ${formatVolumeId(source)} does not exist: there is no image "${source.image}" to take a snapshot of`,
    );
  }
  const text = header.metadata.get(recordKey);
  const reach = text === undefined ? undefined : parseRecord(text, recordPlace(source.image)).place?.reach;
  return { id: header.id, reach };
}

/** A snapshot of that name is the one that an earlier, cut-off request has taken. */
async function takeOnce(ctx: CallContext, pool: CephPool, imageId: string, snapshot: string): Promise<void> {
  try {
    await pool.snapshots.create(ctx, imageId, snapshot);
  } catch (error) {
    if (!isCephError(error, errno.EEXIST)) throw error;
  }
}

function snapshotOf(id: SnapshotId<RbdVolumeId>, entry: TakenSnapshot): Snapshot {
  const { sizeBytes, headerBytes = '0', createdMs, reach } = entry;
  return { id, sizeBytes: BigInt(sizeBytes) - BigInt(headerBytes), createdMs, reach };
}
