import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { DriverError, isDriverError } from '../../domain/errors.js';
import { formatSnapshotId, type SnapshotId } from '../../domain/snapshot-id.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { CreateSnapshotInput, Snapshot, SnapshotBackend, SnapshotPage } from '../backend.js';
import { snapshotNameFor } from '../object-name.js';
import { formatPageToken, parsePageToken } from '../page-token.js';
import { isTaken } from '../registered-snapshot.js';
import { maxBytesAttribute } from './attributes.js';
import { sizeOf } from './create-request.js';
import type { GroupPlace } from './directory-trash.js';
import type { FileSystems } from './file-systems.js';
import { groupsInOrder } from './groups-in-order.js';
import { findHolder, readSnapshot, type SnapshotFacts } from './locate-snapshot.js';
import { removeSnapshot } from './remove-snapshot.js';
import {
  complete,
  forget,
  lookUp,
  register,
  registered,
  type RegisteredDirectorySnapshot,
  type TakenSnapshot,
} from './snapshot-registry.js';
import { homeOf, snapshotPath } from './volume-paths.js';

/** Entries that are read together when all are wanted. */
const registryPart = 500;

export interface CephfsSnapshotDependencies {
  readonly fileSystems: FileSystems;
  /** A directory has been moved into this place's trash. */
  readonly onTrashed: (place: GroupPlace, credentials: Credentials | undefined) => void;
  /** @throws DriverError ABORTED while the snapshot is being copied. */
  readonly refuseWhileCopied: (path: string) => void;
}

interface Opened {
  readonly fs: CephFileSystem;
  /** The directory whose hidden one has the registry. */
  readonly home: string;
}

/** CephFS's snapshots behind the Controller service: `.snap` of the volume, and one entry in the group's registry. */
export class CephfsSnapshotBackend implements SnapshotBackend<CephfsVolumeId> {
  readonly #deps: CephfsSnapshotDependencies;

  constructor(deps: CephfsSnapshotDependencies) {
    this.#deps = deps;
  }

  /** The name is registered first, which decides whose it is; cut off afterwards, the repeated request goes on from there. */
  async create(ctx: CallContext, input: CreateSnapshotInput<CephfsVolumeId>): Promise<Snapshot> {
    const { source, name } = input;
    if (source.isView === true) {
      throw new DriverError(
        'INVALID_ARGUMENT',
        `volume ${formatVolumeId(source)} shows a snapshot and never changes: keep that snapshot instead of taking another one`,
      );
    }
    const { fs, home } = await this.#open(ctx, source, input.credentials);
    const found = await readSource(ctx, fs, source.path);
    if (found === undefined) {
      throw new DriverError(
        'NOT_FOUND',
        `volume ${formatVolumeId(source)} does not exist: there is no directory ${source.path} to take a snapshot of`,
      );
    }
    const snapshot = snapshotNameFor(name);
    const own: RegisteredDirectorySnapshot = { version: 1, name, path: source.path, inode: found.inode.toString() };
    const entry = await register(ctx, fs, home, snapshot, own);
    if (entry.path !== own.path || entry.inode !== own.inode) {
      throw new DriverError(
        'ALREADY_EXISTS',
        `snapshot "${name}" exists already, of directory ${entry.path} and not of ${source.path} as it is now: use another name`,
      );
    }
    const id = { source, name: snapshot };
    if (isTaken(entry)) return snapshotOf(id, entry);
    const facts = await takeOnce(ctx, fs, id, found.sizeBytes);
    const taken = { ...entry, sizeBytes: facts.sizeBytes.toString(), createdMs: facts.createdMs };
    await complete(ctx, fs, home, snapshot, taken).catch((error: unknown) => {
      throw isCephError(error, errno.ENOENT) ? beingDeleted(id) : error;
    });
    return snapshotOf(id, taken);
  }

  /** For what removes snapshots: DeleteSnapshot, and DeleteVolume of the last volume that shows one. */
  removalPlace(fs: CephFileSystem, id: CephfsVolumeId, credentials: Credentials | undefined) {
    const { clusterId, fsName } = id;
    const { refuseWhileCopied, onTrashed } = this.#deps;
    return {
      ...{ fs, clusterId, fsName, refuseWhileCopied },
      onTrashed: (home: string) => {
        onTrashed({ clusterId, fsName, groupPath: home }, credentials);
      },
    };
  }

  /** The registry's entry goes last: a repeated request still finds what the first has left. */
  async delete(ctx: CallContext, id: SnapshotId<CephfsVolumeId>, credentials: Credentials | undefined): Promise<void> {
    try {
      const { fs, home } = await this.#open(ctx, id.source, credentials);
      const holder = await findHolder(ctx, fs, home, id);
      if (holder !== undefined) {
        const place = { ...this.removalPlace(fs, id.source, credentials), home };
        await removeSnapshot(ctx, place, holder.shown, holder.directory);
        return;
      }
      const entry = await lookUp(ctx, fs, home, id.name);
      if (entry?.path === id.source.path) await forget(ctx, fs, home, id.name);
    } catch (error) {
      // The file system itself is gone, and with it the snapshot.
      if (isCephError(error, errno.ENOENT) && isDriverError(error, 'NOT_FOUND')) return;
      throw error;
    }
  }

  async find(
    ctx: CallContext,
    id: SnapshotId<CephfsVolumeId>,
    credentials: Credentials | undefined,
  ): Promise<Snapshot | undefined> {
    try {
      const { fs, home } = await this.#open(ctx, id.source, credentials);
      const holder = await findHolder(ctx, fs, home, id);
      if (holder === undefined || holder.entry?.isDeleted === true) return undefined;
      const facts = await readSnapshot(ctx, fs, holder.directory, id.name);
      if (facts === undefined) return undefined;
      // As CreateSnapshot has said it; one that was made by hand speaks for itself.
      return holder.entry !== undefined && isTaken(holder.entry) ? snapshotOf(id, holder.entry) : { id, ...facts };
    } catch (error) {
      if (isDriverError(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async of(ctx: CallContext, source: CephfsVolumeId): Promise<readonly Snapshot[]> {
    if (this.#deps.fileSystems.clusters.find(source.clusterId) === undefined) return [];
    try {
      const { fs, home } = await this.#open(ctx, source, undefined);
      const found: Snapshot[] = [];
      for await (const { snapshot, entry } of registered(ctx, fs, home, '', () => registryPart)) {
        if (entry.path === source.path) found.push(snapshotOf({ source, name: snapshot }, entry));
      }
      return found;
    } catch (error) {
      if (isDriverError(error, 'NOT_FOUND')) return [];
      throw error;
    }
  }

  async list(ctx: CallContext, after: string, max: number): Promise<SnapshotPage> {
    const start = after === '' ? undefined : parsePageToken(after, 3);
    const snapshots: Snapshot[] = [];
    let last = '';
    const room = () => (max === 0 ? registryPart : max - snapshots.length);
    for await (const { clusterId, fsName, fs, groupPath } of groupsInOrder(ctx, this.#deps.fileSystems, start)) {
      const here = start?.[0] === clusterId && start[1] === fsName;
      const after = here ? (start[2] ?? '') : '';
      for await (const { snapshot, entry, place } of registered(ctx, fs, groupPath, after, room)) {
        // One more than asked for tells whether there is another page.
        if (max > 0 && snapshots.length === max) return { snapshots, next: last };
        const source = { backend: 'cephfs', clusterId, fsName, path: entry.path } as const;
        snapshots.push(snapshotOf({ source, name: snapshot }, entry));
        last = formatPageToken([clusterId, fsName, place]);
      }
    }
    return { snapshots, next: undefined };
  }

  async #open(ctx: CallContext, id: CephfsVolumeId, credentials: Credentials | undefined): Promise<Opened> {
    const { fs, cluster } = await this.#deps.fileSystems.open(ctx, id, credentials);
    return { fs, home: homeOf(fs.root, cluster.cephfs.groupPath, id.path) };
  }
}

interface Source {
  readonly inode: bigint;
  readonly sizeBytes: bigint | undefined;
}

/** undefined when it isn't there. */
async function readSource(ctx: CallContext, fs: CephFileSystem, path: string): Promise<Source | undefined> {
  const [status, attributes] = await Promise.all([
    ifPresent(fs.status(ctx, path)),
    ifPresent(fs.attributes(ctx, path, [maxBytesAttribute])),
  ]);
  if (status === undefined || attributes === undefined) return undefined;
  return { inode: status.inode, sizeBytes: sizeOf(attributes.get(maxBytesAttribute)) };
}

/**
 * A snapshot of that name is the one that an earlier, cut-off request has taken: it says itself what it is. So does one of a directory
 * without a quota. A new one is as large as its directory, and its time is its request's, as the MDS has it too.
 */
async function takeOnce(
  ctx: CallContext,
  fs: CephFileSystem,
  id: SnapshotId<CephfsVolumeId>,
  sizeBytes: bigint | undefined,
): Promise<SnapshotFacts> {
  const { path } = id.source;
  const createdMs = Date.now();
  try {
    await fs.makeDirectory(ctx, snapshotPath(path, id.name), { mode: 0o755, attributes: new Map() });
    if (sizeBytes !== undefined) return { sizeBytes, createdMs };
  } catch (error) {
    if (!isCephError(error, errno.EEXIST)) throw error;
  }
  const facts = await readSnapshot(ctx, fs, path, id.name);
  if (facts === undefined) throw beingDeleted(id);
  return facts;
}

function beingDeleted(id: SnapshotId<CephfsVolumeId>): DriverError {
  return new DriverError(
    'ABORTED',
    `snapshot ${formatSnapshotId(id)} is being deleted at this moment: repeat the request`,
  );
}

function snapshotOf(id: SnapshotId<CephfsVolumeId>, entry: TakenSnapshot): Snapshot {
  return { id, sizeBytes: BigInt(entry.sizeBytes), createdMs: entry.createdMs };
}
