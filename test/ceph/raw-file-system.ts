import { loadLibrary, type Pointer, type PointerOut, written } from '../../src/ceph/native/library.js';

/**
 * A file system as a workload may leave it: any bytes as names, symbolic and hard links, data. By libcephfs too, but on a client
 * of its own, as client.admin.
 */
export interface RawFileSystem {
  makeDirectory(path: string | Buffer): Promise<void>;
  write(path: string | Buffer, text: string): Promise<void>;
  symlink(target: string, path: string | Buffer): Promise<void>;
  link(from: string, path: string | Buffer): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  exists(path: string | Buffer): Promise<boolean>;
  close(): Promise<void>;
}

const writeAndCreate = 0o101;

export async function rawFileSystem(confPath: string): Promise<RawFileSystem> {
  const { call } = loadLibrary('libcephfs.so.2', 'libcephfs2');
  const native = {
    create: call('int ceph_create(_Out_ void **mount, const char *user)'),
    configure: call('int ceph_conf_read_file(void *mount, const char *path)'),
    mount: call('int ceph_mount(void *mount, const char *root)'),
    unmount: call('int ceph_unmount(void *mount)'),
    release: call('int ceph_release(void *mount)'),
    mkdir: call('int ceph_mkdir(void *mount, void *path, uint32_t mode)'),
    open: call('int ceph_open(void *mount, void *path, int flags, uint32_t mode)'),
    write: call('int ceph_write(void *mount, int fd, void *bytes, int64_t length, int64_t offset)'),
    close: call('int ceph_close(void *mount, int fd)'),
    symlink: call('int ceph_symlink(void *mount, void *target, void *path)'),
    link: call('int ceph_link(void *mount, void *from, void *path)'),
    rename: call('int ceph_rename(void *mount, void *from, void *to)'),
    statx: call('int ceph_statx(void *mount, void *path, void *status, unsigned int want, unsigned int flags)'),
  };
  const check = (returned: number, what: string | Buffer) => {
    if (returned < 0) throw new Error(`${what.toString()}: errno ${-returned}`);
    return returned;
  };
  const bytes = (path: string | Buffer) => Buffer.concat([Buffer.from(path), Buffer.alloc(1)]);
  const out: PointerOut = [null];
  check(native.create.sync(out, 'admin'), 'create');
  const mount: Pointer = written(out);
  check(native.configure.sync(mount, confPath), confPath);
  check(await native.mount(mount, '/'), 'mount');
  return {
    makeDirectory: async (path) => {
      check(await native.mkdir(mount, bytes(path), 0o755), path);
    },
    write: async (path, text) => {
      const fd = check(await native.open(mount, bytes(path), writeAndCreate, 0o644), path);
      const data = Buffer.from(text);
      if (data.length > 0) check(await native.write(mount, fd, data, data.length, 0), path); // 0 bytes: an assertion fails
      check(await native.close(mount, fd), path);
    },
    symlink: async (target, path) => {
      check(await native.symlink(mount, bytes(target), bytes(path)), path);
    },
    link: async (from, path) => {
      check(await native.link(mount, bytes(from), bytes(path)), path);
    },
    rename: async (from, to) => {
      check(await native.rename(mount, bytes(from), bytes(to)), from);
    },
    exists: async (path) => (await native.statx(mount, bytes(path), Buffer.alloc(512), 0x7ff, 0x100)) === 0,
    close: async () => {
      await native.unmount(mount);
      await native.release(mount);
    },
  };
}
