import type { CallContext } from '../platform/call-context.js';

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

/** With its place in Ceph's own order, which is the same whatever comes and goes beside it. */
export interface PlacedEntry extends DirectoryEntry {
  readonly place: string;
}

export interface DirectoryPart {
  readonly entries: readonly PlacedEntry[];
  /** Nothing comes after them. */
  readonly isLast: boolean;
}

export interface FileStatus {
  readonly isDirectory: boolean;
  /** Permission bits alone. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Stays the same wherever the file is renamed to. */
  readonly inode: bigint;
}

export interface TreeCopy {
  /** Files copied at the same time. */
  readonly concurrency: number;
  /** Told now and then what has been copied so far. */
  readonly onProgress?: (copied: { readonly entries: number; readonly bytes: bigint }) => void;
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
  /** Of the extended attributes that are set; CephFS's own (`ceph.*`) are not among them. @throws CephError ENOENT. */
  attributeNames(ctx: CallContext, path: string): Promise<string[]>;
  /**
   * A quota and another one of the same directory are not set at the same time: the MDS may let the second wait for seconds.
   * @param onlyIfAbsent @returns false when it is there already, with nothing changed.
   */
  setAttribute(ctx: CallContext, path: string, name: string, value: string, onlyIfAbsent?: boolean): Promise<boolean>;
  /** One that isn't there is fine. A removed quota may read as '0' afterwards. */
  removeAttribute(ctx: CallContext, path: string, name: string): Promise<void>;
  /** Without `.` and `..`, in no order; names that are no UTF-8 are left out. @throws CephError ENOENT, ENOTDIR. */
  list(ctx: CallContext, path: string): Promise<DirectoryEntry[]>;
  /**
   * Like list(), a part of it, in Ceph's own order: after a place that an earlier part gave ('' = from the start), whether that entry
   * is still there or not; at least `fewest` entries unless the directory ends. @throws CephError also EINVAL: no such place.
   */
  listPart(ctx: CallContext, path: string, after: string, fewest: number): Promise<DirectoryPart>;
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
  /** Removes an empty directory, or a snapshot (`DIRECTORY/.snap/NAME`). @throws CephError ENOENT, ENOTEMPTY. */
  removeDirectory(ctx: CallContext, path: string): Promise<void>;
  /**
   * Copies what is in a snapshot into a directory that is there: owners, modes, times, extended attributes, symbolic links, hard
   * links and holes are kept, names of any bytes too. The top's own owner, mode and times included; CephFS's own attributes of the
   * target (quota, layout) and the driver's (`trusted.cuttle.*`) are not touched. Nobody else may write in the target meanwhile.
   * Cut off, it is called again, and doesn't copy whole files again that are there already.
   * @throws CephError EINVAL for a source that is no snapshot.
   */
  copyTree(ctx: CallContext, from: string, to: string, how: TreeCopy): Promise<void>;
  /**
   * Takes an exclusive advisory lock (flock(2)) on a file, which is made when it isn't there. It ends with unlock(), and with the
   * client's session: then every operation of this object fails with UNAVAILABLE. A killed process keeps it for a minute or more,
   * unless its successor has its session name. @returns false when somebody holds it, this object included.
   */
  lock(ctx: CallContext, path: string): Promise<boolean>;
  unlock(ctx: CallContext, path: string): Promise<void>;
}
