import { loadLibrary } from './library.js';

/** libcephfs' C interface (cephfs/libcephfs.h), the part that Cuttle calls. */
export type Libcephfs = ReturnType<typeof loadLibcephfs>;

let loaded: Libcephfs | undefined;

export function libcephfs(): Libcephfs {
  loaded ??= loadLibcephfs();
  return loaded;
}

/** ceph_ll_client.h, CEPH_STATX_*: which fields of struct ceph_statx are asked for. */
export const statxWant = { mode: 0x1, uid: 0x4, gid: 0x8, inode: 0x100, basic: 0x7ff } as const;

/** ceph_ll_client.h, struct ceph_statx: 136 bytes in Ceph 16; room for more. */
export const statxBytes = 512;

/** Where its fields lie. */
export const statxAt = {
  links: 8,
  uid: 12,
  gid: 16,
  mode: 20,
  inode: 24,
  size: 32,
  /** Of a device node. */
  device: 56,
  /** struct timespec, as are the following. */
  atime: 64,
  mtime: 96,
} as const;

/** struct timespec. */
export const timespecBytes = 16;

/** ceph_fs.h, CEPH_SETATTR_*: which fields of a struct ceph_statx are to be set. */
export const setStatus = { mode: 1, uid: 2, gid: 4, mtime: 8, atime: 16, size: 32 } as const;

/** fcntl(2), AT_SYMLINK_NOFOLLOW. */
export const noFollow = 0x100;

/** flock(2). */
export const flockOperation = { exclusiveNonBlocking: 2 | 4, unlock: 8 } as const;

/** setxattr(2), XATTR_CREATE. */
export const xattrCreate = 1;

/**
 * Functions that take a mount need its handle mounted, `init`, `setUuid`, `startReclaim`, `release` excepted: `setUuid` and
 * `startReclaim` want `init` before them and crash without. Inodes and directories that were handed out have to be given back
 * (`putInode`, `closeDirectory`) before the unmount. Names and paths are bytes that end with a zero.
 */
function loadLibcephfs() {
  const { call, callForPointer } = loadLibrary('libcephfs.so.2', 'libcephfs2');
  return {
    createFromRados: call('int ceph_create_from_rados(_Out_ void **mount, void *cluster)'),
    init: call('int ceph_init(void *mount)'),
    selectFileSystem: call('int ceph_select_filesystem(void *mount, const char *name)'),
    setUuid: call('void ceph_set_uuid(void *mount, const char *uuid)'),
    startReclaim: call('int ceph_start_reclaim(void *mount, const char *uuid, unsigned int flags)'),
    mount: call('int ceph_mount(void *mount, const char *root)'),
    umask: call('uint32_t ceph_umask(void *mount, uint32_t mask)'),
    unmount: call('int ceph_unmount(void *mount)'),
    release: call('int ceph_release(void *mount)'),

    /** The user that calls are made as; belongs to the mount. */
    permissions: callForPointer('void *ceph_mount_perms(void *mount)'),
    newPermissions: callForPointer('void *ceph_userperm_new(uint32_t uid, uint32_t gid, int groups, void *groupList)'),
    destroyPermissions: call('void ceph_userperm_destroy(void *permissions)'),

    makeDirectory: call('int ceph_mkdir(void *mount, const char *path, uint32_t mode)'),
    removeDirectory: call('int ceph_rmdir(void *mount, const char *path)'),
    makeDirectories: call('int ceph_mkdirs(void *mount, const char *path, uint32_t mode)'),
    status: call('int ceph_statx(void *mount, const char *path, void *status, unsigned int want, unsigned int flags)'),
    setOwner: call('int ceph_lchown(void *mount, const char *path, int uid, int gid)'),
    setMode: call('int ceph_chmod(void *mount, const char *path, uint32_t mode)'),
    getAttribute: call(
      'int ceph_lgetxattr(void *mount, const char *path, const char *name, void *value, size_t length)',
    ),
    listAttributes: call('int ceph_llistxattr(void *mount, const char *path, void *names, size_t length)'),
    setAttribute: call(
      'int ceph_lsetxattr(void *mount, const char *path, const char *name, void *value, size_t length, int flags)',
    ),
    removeAttribute: call('int ceph_lremovexattr(void *mount, const char *path, const char *name)'),
    rename: call('int ceph_rename(void *mount, const char *from, const char *to)'),

    open: call('int ceph_open(void *mount, const char *path, int flags, uint32_t mode)'),
    sync: call('int ceph_fsync(void *mount, int fd, int dataOnly)'),
    lock: call('int ceph_flock(void *mount, int fd, int operation, uint64_t owner)'),
    close: call('int ceph_close(void *mount, int fd)'),

    openDirectory: call('int ceph_opendir(void *mount, const char *path, _Out_ void **directory)'),
    readDirectory: call('int ceph_getdents(void *mount, void *directory, void *buffer, int length)'),
    seekDirectory: call('void ceph_seekdir(void *mount, void *directory, int64_t offset)'),
    closeDirectory: call('int ceph_closedir(void *mount, void *directory)'),

    // By inode and name: nothing on the way can be replaced by a symbolic link in between.
    walk: call(
      'int ceph_ll_walk(void *mount, const char *path, _Out_ void **inode, void *status, unsigned int want, unsigned int flags, void *permissions)',
    ),
    lookUp: call(
      'int ceph_ll_lookup(void *mount, void *parent, void *name, _Out_ void **inode, void *status, unsigned int want, unsigned int flags, void *permissions)',
    ),
    putInode: call('int ceph_ll_put(void *mount, void *inode)'),
    openInode: call('int ceph_ll_opendir(void *mount, void *inode, _Out_ void **directory, void *permissions)'),
    makeDirectoryIn: call(
      'int ceph_ll_mkdir(void *mount, void *parent, void *name, uint32_t mode, _Out_ void **inode, void *status, unsigned int want, unsigned int flags, void *permissions)',
    ),
    unlinkIn: call('int ceph_ll_unlink(void *mount, void *parent, void *name, void *permissions)'),
    removeDirectoryIn: call('int ceph_ll_rmdir(void *mount, void *parent, void *name, void *permissions)'),
    makeNodeIn: call(
      'int ceph_ll_mknod(void *mount, void *parent, void *name, uint32_t mode, uint64_t device, _Out_ void **inode, void *status, unsigned int want, unsigned int flags, void *permissions)',
    ),
    makeSymlinkIn: call(
      'int ceph_ll_symlink(void *mount, void *parent, void *name, void *target, _Out_ void **inode, void *status, unsigned int want, unsigned int flags, void *permissions)',
    ),
    linkIn: call('int ceph_ll_link(void *mount, void *inode, void *parent, void *name, void *permissions)'),
    createIn: call(
      'int ceph_ll_create(void *mount, void *parent, void *name, uint32_t mode, int openFlags, _Out_ void **inode, _Out_ void **file, void *status, unsigned int want, unsigned int flags, void *permissions)',
    ),

    statusOf: call(
      'int ceph_ll_getattr(void *mount, void *inode, void *status, unsigned int want, unsigned int flags, void *permissions)',
    ),
    /** Writes the status as it is afterwards into the same buffer. */
    setStatusOf: call('int ceph_ll_setattr(void *mount, void *inode, void *status, int mask, void *permissions)'),
    readLink: call('int ceph_ll_readlink(void *mount, void *inode, void *target, size_t length, void *permissions)'),
    listAttributesOf: call(
      'int ceph_ll_listxattr(void *mount, void *inode, void *names, size_t length, void *listed, void *permissions)',
    ),
    getAttributeOf: call(
      'int ceph_ll_getxattr(void *mount, void *inode, void *name, void *value, size_t length, void *permissions)',
    ),
    setAttributeOf: call(
      'int ceph_ll_setxattr(void *mount, void *inode, void *name, void *value, size_t length, int flags, void *permissions)',
    ),
    removeAttributeOf: call('int ceph_ll_removexattr(void *mount, void *inode, void *name, void *permissions)'),

    openFile: call('int ceph_ll_open(void *mount, void *inode, int flags, _Out_ void **file, void *permissions)'),
    readFile: call('int ceph_ll_read(void *mount, void *file, int64_t offset, uint64_t length, void *bytes)'),
    writeFile: call('int ceph_ll_write(void *mount, void *file, int64_t offset, uint64_t length, void *bytes)'),
    closeFile: call('int ceph_ll_close(void *mount, void *file)'),
    /** Returns when the OSDs and the MDS have, for good, all that this mount has changed. */
    syncAll: call('int ceph_sync_fs(void *mount)'),
  };
}
