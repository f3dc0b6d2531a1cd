import type { CallContext } from '../platform/call-context.js';
import type { CephFileSystem, FileSystemInfo } from './file-system.js';
import type { Secret } from '../platform/secret.js';

/** Where a cluster is and who connects to it. */
export interface CephAccess {
  readonly clusterId: string;
  /** `mon_host` in Ceph's own form, e.g. `10.0.0.1,10.0.0.2` or `[v2:10.0.0.1:3300,v1:10.0.0.1:6789]`. */
  readonly monitors?: string;
  /** A ceph.conf to read. At least one of monitors and cephConf is set. */
  readonly cephConf?: string;
  /** Without the `client.` prefix. */
  readonly user: string;
  /** The cephx key; without one, the keyring that cephConf or Ceph's default search path names. */
  readonly key?: Secret;
  readonly keyring?: string;
  readonly timeouts: CephTimeouts;
}

/** Every native call's own upper limit, in milliseconds (Ceph: client_mount_timeout, rados_mon_op_timeout, rados_osd_op_timeout). */
export interface CephTimeouts {
  readonly connectMs: number;
  readonly monMs: number;
  readonly osdMs: number;
}

/** A pool of connections: one per (cluster, user, key), closed when idle. */
export interface CephClient {
  /** @throws DriverError UNAVAILABLE (no monitor answers), UNAUTHENTICATED (key or user refused), INVALID_ARGUMENT. */
  connect(ctx: CallContext, access: CephAccess): Promise<CephConnection>;
  close(): Promise<void>;
}

export interface PoolCapacity {
  readonly name: string;
  /** Bytes that clients can still write, after replication (`ceph df`, MAX AVAIL). */
  readonly availableBytes: bigint;
}

export interface CephConnection {
  readonly clusterId: string;
  /** mon_host as the library knows it, for programs that need it and for messages. */
  readonly monitors: string;
  /** This client's own address as the cluster sees it, e.g. `10.0.0.7:0/123`. */
  readonly address: string;
  readonly user: string;
  /** The keyring files that the library looked into, separated by commas; '' when a key was given. */
  readonly keyring: string;
  fsid(ctx: CallContext): Promise<string>;
  /** Runs a monitor command and returns its output. @throws CephError with the monitor's errno. */
  monCommand(ctx: CallContext, command: Readonly<Record<string, unknown>>): Promise<string>;
  /**
   * Shuts a client out of the cluster (`osd blocklist add`), for good: a year. OSDs refuse it as soon as they know, its watches and its
   * sessions with an MDS end. Idempotent.
   * @param address as the cluster sees it, e.g. `10.0.0.7:0/123`
   * @throws CephError EACCES when the user's mon capabilities don't allow it.
   */
  fence(ctx: CallContext, address: string): Promise<void>;
  /** Lets it in again; one that isn't shut out is fine. @throws CephError EACCES: `profile rbd` allows to fence only. */
  liftFence(ctx: CallContext, address: string): Promise<void>;
  poolCapacities(ctx: CallContext): Promise<PoolCapacity[]>;
  /** Pools tagged with this application, e.g. `rbd` (`ceph osd pool application`). */
  poolsOfApplication(ctx: CallContext, application: string): Promise<string[]>;
  /** The cluster's file systems (`ceph fs ls`). */
  fileSystems(ctx: CallContext): Promise<FileSystemInfo[]>;
  /** @throws CephError ENOENT (no such file system), ETIMEDOUT (by the monitors' word none of its MDSs is at work). */
  checkServed(ctx: CallContext, fileSystem: string): Promise<void>;
  /**
   * Mounts a file system inside this process by libcephfs, which takes no kernel, no /dev/fuse and no privilege; kept for the
   * life of the connection and shared. One whose session the MDS has ended (evicted) answers UNAVAILABLE; ask again then.
   * @param roots directories that may be mounted as the root, in the order in which they are tried: a key whose capabilities
   *   are restricted to a path (`allow rwps path=/volumes/csi`) can mount that path only.
   * @throws CephError ENOENT (no such file system, or none of the roots exists), EACCES or EPERM (the key reaches none of them),
   *   ETIMEDOUT (no MDS is active, or none answers).
   */
  fileSystem(ctx: CallContext, name: string, roots: readonly string[]): Promise<CephFileSystem>;
  /** Opens a pool and namespace; handles are kept for the life of the connection. @throws CephError ENOENT. */
  pool(ctx: CallContext, pool: string, namespace: string): Promise<CephPool>;
}

export interface CephPool {
  readonly name: string;
  readonly namespace: string;
  readonly omap: RadosOmap;
  readonly images: RbdImages;
  readonly snapshots: RbdSnapshots;
  /**
   * Takes or renews an advisory lock on an object (`rados lock`); a crash gives it up after durationMs.
   * @returns false when somebody else holds it.
   */
  lock(ctx: CallContext, object: string, name: string, cookie: string, durationMs: number): Promise<boolean>;
  unlock(ctx: CallContext, object: string, name: string, cookie: string): Promise<void>;
}

/** Key-value pairs on one RADOS object, read by key, written by compound operations. */
export interface RadosOmap {
  /** Keys that are not there are left out; an object that is not there has none. */
  get(ctx: CallContext, object: string, keys: readonly string[]): Promise<Map<string, string>>;
  /** Up to max pairs after startAfter, in key order. */
  list(ctx: CallContext, object: string, startAfter: string, max: number): Promise<Map<string, string>>;
  /**
   * Removes and then writes in one atomic operation, only if every key in `expect` has the named value ('' = absent or
   * empty). An object that is not there has no keys; it is made when there is something to write.
   * @returns false, with nothing changed, when the expectation does not hold.
   */
  update(ctx: CallContext, object: string, change: OmapChange): Promise<boolean>;
}

export interface OmapChange {
  readonly expect?: ReadonlyMap<string, string>;
  readonly set?: ReadonlyMap<string, string>;
  readonly remove?: readonly string[];
}

export interface ImageCreation {
  readonly sizeBytes: bigint;
  /** Feature bits (librbd.h, RBD_FEATURE_*). */
  readonly features: bigint;
  readonly dataPool?: string;
  /** log2 of the object size. */
  readonly order?: number;
  readonly stripeUnitBytes?: bigint;
  readonly stripeCount?: bigint;
  /** Set on the new image, unless somebody else has set that key on it meanwhile; `beside` in the same operation. */
  readonly metadata?: {
    readonly key: string;
    readonly value: string;
    readonly beside?: ReadonlyMap<string, string>;
  };
}

export interface ExpectedMetadata {
  readonly key: string;
  readonly value: string;
}

/** What an image's header says, read in one round trip. */
export interface ImageHeader {
  readonly id: string;
  readonly sizeBytes: bigint;
  readonly features: bigint;
  /** Whether there are snapshots, those that only clones still need included. */
  readonly hasSnapshots: boolean;
  /** Those of the asked-for metadata keys that are set. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** What a list says of an image. */
export interface ImageSummary {
  readonly id: string;
  readonly sizeBytes: bigint;
  /** Those of the asked-for metadata keys that are set. */
  readonly metadata: ReadonlyMap<string, string>;
}

export interface ImageLayout {
  readonly order: number;
  readonly stripeUnitBytes: bigint;
  readonly stripeCount: bigint;
  /** undefined when data lies in the image's own pool. */
  readonly dataPool: string | undefined;
}

export interface ImageWatcher {
  readonly address: string;
}

export interface TrashEntry {
  readonly id: string;
  readonly name: string;
}

/** RBD images in one pool and namespace. Names and ids are those of `rbd info`. */
export interface RbdImages {
  /**
   * Exclusive. @throws CephError EEXIST when the name is taken.
   * @returns false when the image is there and its metadata is somebody else's.
   */
  create(ctx: CallContext, name: string, image: ImageCreation): Promise<boolean>;
  /**
   * Ends a create that was cut off: for a name that has an id and no header. @throws CephError ENOENT when the name has no id (any
   * more). @returns as create().
   */
  complete(ctx: CallContext, name: string, image: ImageCreation): Promise<boolean>;
  /** Takes away what such a create has left. One that has left nothing is fine. */
  removeUnfinished(ctx: CallContext, name: string): Promise<void>;
  /** The id that a name stands for. @throws CephError ENOENT. */
  id(ctx: CallContext, name: string): Promise<string>;
  /** @throws CephError ENOENT. */
  header(ctx: CallContext, name: string, metadataKeys: readonly string[]): Promise<ImageHeader>;
  headerById(ctx: CallContext, id: string, metadataKeys: readonly string[]): Promise<ImageHeader>;
  /** Of many images at once, in the ids' order; undefined for one that isn't there (any more). */
  summaries(
    ctx: CallContext,
    ids: readonly string[],
    metadataKeys: readonly string[],
  ): Promise<(ImageSummary | undefined)[]>;
  layout(ctx: CallContext, name: string): Promise<ImageLayout>;
  /** Names and ids after startAfter, in name order, at most max. */
  list(ctx: CallContext, startAfter: string, max: number): Promise<Map<string, string>>;
  /**
   * Sets metadata on the image with this id, and removes the keys whose value is null, in one operation. With `expected`, nothing is
   * written unless each of those keys has that value ('' = it is not set). @returns false in that case.
   */
  setMetadata(
    ctx: CallContext,
    id: string,
    values: ReadonlyMap<string, string | null>,
    ...expected: readonly ExpectedMetadata[]
  ): Promise<boolean>;
  removeMetadata(ctx: CallContext, id: string, key: string): Promise<void>;
  /**
   * Tells whoever has the image open that its header has changed: librbd reads the image's own configuration (metadata `conf_...`)
   * again. A client that gives no answer within two seconds is not waited for.
   */
  announce(ctx: CallContext, id: string): Promise<void>;
  /** Makes the image larger; one that is large enough stays as it is. @returns its size afterwards, in bytes. */
  grow(ctx: CallContext, name: string, sizeBytes: bigint): Promise<bigint>;
  rename(ctx: CallContext, from: string, to: string): Promise<void>;
  /** Removes the image and its data, object by object: slow for large images. @throws CephError EBUSY, ENOTEMPTY, ENOENT. */
  remove(ctx: CallContext, name: string): Promise<void>;
  /** Does any client have the image with this id open for writing? Cheap when none has. */
  isWatched(ctx: CallContext, id: string): Promise<boolean>;
  /** Who has the image open for writing; a read-only client leaves no trace. */
  watchers(ctx: CallContext, name: string): Promise<ImageWatcher[]>;
  /**
   * Out of sight, constant time. Ceph moves an image that is open elsewhere all the same: ask watchers() before.
   * @throws CephError EBUSY when its lock can't be had, ENOENT.
   */
  moveToTrash(ctx: CallContext, name: string): Promise<void>;
  listTrash(ctx: CallContext): Promise<TrashEntry[]>;
  /** Frees the space of a trashed image. @throws CephError EBUSY when it is open somewhere, ENOENT, ENOTEMPTY. */
  removeFromTrash(ctx: CallContext, id: string): Promise<void>;
}

export interface RbdSnapshot {
  readonly id: bigint;
  readonly name: string;
  /** The image's size when it was taken, in bytes. */
  readonly sizeBytes: bigint;
  readonly createdMs: number;
}

export interface ImageClone {
  /** Feature bits (librbd.h, RBD_FEATURE_*). */
  readonly features: bigint;
  readonly dataPool?: string;
  /** log2 of the object size; the parent's unless set. */
  readonly order?: number;
  readonly stripeUnitBytes?: bigint;
  readonly stripeCount?: bigint;
}

/** Where an image's content comes from: a snapshot of an image, maybe in another pool. */
export interface ImageParent {
  readonly pool: string;
  readonly namespace: string;
  readonly imageId: string;
  readonly snapshotId: bigint;
}

export interface FlattenOptions {
  /** In objects of the image; called for each of them. */
  readonly onProgress: (done: number, total: number) => void;
  /** Aborted, the flattening ends as soon as the objects that are under way have been copied; what was copied stays. */
  readonly stop: AbortSignal;
}

/** Snapshots of images of one pool and namespace. Images are named by their ids, which a rename doesn't change. */
export interface RbdSnapshots {
  /** Takes one round trip to the monitors, which give out ids about once a second. @throws CephError EEXIST, ENOENT. */
  create(ctx: CallContext, imageId: string, name: string): Promise<void>;
  /** Those that people and drivers have made, not RBD's own. @throws CephError ENOENT (no such image). */
  list(ctx: CallContext, imageId: string): Promise<RbdSnapshot[]>;
  /** Clones of it stay: RBD keeps what they need. @throws CephError ENOENT, EBUSY (protected: clones of format 1). */
  remove(ctx: CallContext, imageId: string, name: string): Promise<void>;
  /** Copy on write, clone format 2. The new image is in `into`. @throws CephError EEXIST, ENOENT. */
  clone(
    ctx: CallContext,
    imageId: string,
    name: string,
    into: CephPool,
    child: string,
    image: ImageClone,
  ): Promise<void>;
  /**
   * What the image, or a snapshot of it, reads from; undefined when that is nothing. One round trip.
   * @throws CephError ENOENT (no such image).
   */
  parent(ctx: CallContext, imageId: string, snapshotId?: bigint): Promise<ImageParent | undefined>;
  /**
   * Copies what the image still reads from its parent, and forgets the parent: takes as long as the data is large, and is background work.
   * With the feature deep-flatten its snapshots forget it too. While it is under way, the image is watched by this client.
   * @throws CephError ECANCELED (stopped), EINVAL (it has no parent), EROFS (another client holds its lock).
   */
  flatten(ctx: CallContext, imageId: string, options: FlattenOptions): Promise<void>;
}

export type * from './file-system.js';
