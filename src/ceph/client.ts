import type { CallContext } from '../platform/call-context.js';
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
  poolCapacities(ctx: CallContext): Promise<PoolCapacity[]>;
  /** Pools tagged with this application, e.g. `rbd` (`ceph osd pool application`). */
  poolsOfApplication(ctx: CallContext, application: string): Promise<string[]>;
  /** The cluster's file systems (`ceph fs ls`). */
  fileSystems(ctx: CallContext): Promise<FileSystemInfo[]>;
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
  /** Set on the new image, unless somebody else has set that key on it meanwhile. */
  readonly metadata?: { readonly key: string; readonly value: string };
}

/** What an image's header says, read in one round trip. */
export interface ImageHeader {
  readonly id: string;
  readonly sizeBytes: bigint;
  readonly features: bigint;
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
  layout(ctx: CallContext, name: string): Promise<ImageLayout>;
  /** Names and ids after startAfter, in name order, at most max. */
  list(ctx: CallContext, startAfter: string, max: number): Promise<Map<string, string>>;
  /**
   * Sets metadata on the image with this id. With `onlyIfAbsent`, nothing is written when that key is set already.
   * @returns false in that case.
   */
  setMetadata(
    ctx: CallContext,
    id: string,
    values: ReadonlyMap<string, string>,
    onlyIfAbsent?: string,
  ): Promise<boolean>;
  removeMetadata(ctx: CallContext, id: string, key: string): Promise<void>;
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

export interface FileSystemInfo {
  readonly name: string;
  /** Names of its data pools; the first is the default one. */
  readonly dataPools: readonly string[];
}

export interface DirectoryCreation {
  /** Permission bits, e.g. 0o755. */
  readonly mode: number;
  /** Left to the process's own user unless both are set. */
  readonly uid?: number;
  readonly gid?: number;
  /** Extended attributes to set, one after the other, e.g. `ceph.quota.max_bytes`. */
  readonly attributes: ReadonlyMap<string, string>;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

export interface FileStatus {
  readonly isDirectory: boolean;
  /** Permission bits alone. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface TreeRemoval {
  /** Entries removed at the same time. */
  readonly concurrency: number;
  /** Asked before each batch: lets the caller wait for a quieter moment. */
  readonly pause?: () => Promise<void>;
}

/**
 * One file system, mounted in this process. Paths are absolute within the file system, whatever its mounted root is; one outside
 * of the root is refused with EACCES. Every operation ends within the timeouts, also when the MDS doesn't answer.
 */
export interface CephFileSystem {
  readonly name: string;
  /** The directory that is mounted as the root: `/` unless the key is restricted. */
  readonly root: string;
  /**
   * Makes one directory with its owner, exclusively, and then sets its attributes. Cut off in between, the directory is there
   * without some of them. @throws CephError EEXIST, ENOENT (the parent is not there), EACCES (the key may not set quotas or layouts).
   */
  makeDirectory(ctx: CallContext, path: string, directory: DirectoryCreation): Promise<void>;
  /** Makes a directory and those above it; one that is there already is fine. */
  makeDirectories(ctx: CallContext, path: string, mode: number): Promise<void>;
  /** Of a directory or file, symbolic links not followed. @throws CephError ENOENT. */
  status(ctx: CallContext, path: string): Promise<FileStatus>;
  setOwner(ctx: CallContext, path: string, uid: number, gid: number): Promise<void>;
  setMode(ctx: CallContext, path: string, mode: number): Promise<void>;
  /** Those of the asked-for extended attributes that are set. @throws CephError ENOENT when the path is not there. */
  attributes(ctx: CallContext, path: string, names: readonly string[]): Promise<Map<string, string>>;
  /**
   * A quota and another one of the same directory are not set at the same time: the MDS may let the second wait for seconds.
   * @param onlyIfAbsent @returns false when it is there already, with nothing changed.
   */
  setAttribute(ctx: CallContext, path: string, name: string, value: string, onlyIfAbsent?: boolean): Promise<boolean>;
  /** One that isn't there is fine. A removed quota may read as '0' afterwards. */
  removeAttribute(ctx: CallContext, path: string, name: string): Promise<void>;
  /** Without `.` and `..`, in no order; names that are no UTF-8 are left out. @throws CephError ENOENT, ENOTDIR. */
  list(ctx: CallContext, path: string): Promise<DirectoryEntry[]>;
  /** Within one quota's realm, else EXDEV. @throws CephError ENOENT, EXDEV, EEXIST or ENOTEMPTY (a target that isn't empty). */
  rename(ctx: CallContext, from: string, to: string): Promise<void>;
  /**
   * Removes a directory or file with everything below it, names of any bytes, snapshots of directories included; one that isn't there
   * is fine, and so is somebody else who removes it at the same time, or who writes in it: no symbolic link leads out of the tree.
   * @returns how many entries it has removed itself.
   * @throws the signal's reason, with what is left still there, when ctx.signal is aborted; CephError ENOTEMPTY when somebody fills
   *   the tree as fast.
   */
  removeTree(ctx: CallContext, path: string, how: TreeRemoval): Promise<number>;
  /**
   * Takes an exclusive advisory lock (flock(2)) on a file, which is made when it isn't there. It ends with unlock(), and with the
   * client's session: then every operation of this object fails with UNAVAILABLE. A killed process keeps it for a minute or more,
   * unless its successor has its session name. @returns false when somebody holds it, this object included.
   */
  lock(ctx: CallContext, path: string): Promise<boolean>;
  unlock(ctx: CallContext, path: string): Promise<void>;
}
