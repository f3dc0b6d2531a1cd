import { loadLibrary } from './library.js';

/** The kernel's own limit (xattr(7)). */
const maxBytes = 64 << 10;

/** getxattr(2) and its kin, in libuv's thread pool: they ask the mounted file system, and may hang with it. */
export interface PathAttributes {
  /** Names of those that are set; empty when the path can't be asked for any. */
  list(path: string): Promise<string[]>;
  /** undefined when there is no such attribute, or when the path can't be asked for any. */
  read(path: string, name: string): Promise<string | undefined>;
  /** @returns whether it is set now. */
  write(path: string, name: string, value: string): Promise<boolean>;
  /** @returns false when it wasn't there, or couldn't be removed. */
  remove(path: string, name: string): Promise<boolean>;
}

let loaded: ReturnType<typeof load> | undefined;

function load() {
  const { call } = loadLibrary('libc.so.6', 'libc6');
  return {
    list: call('long listxattr(const char *path, void *names, size_t size)'),
    read: call('long getxattr(const char *path, const char *name, void *value, size_t size)'),
    write: call('int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)'),
    remove: call('int removexattr(const char *path, const char *name)'),
  };
}

function native() {
  loaded ??= load();
  return loaded;
}

export const pathAttributes: PathAttributes = {
  list: async (path) => {
    const names = Buffer.alloc(maxBytes);
    const length = await native().list(path, names, maxBytes);
    return length < 0 ? [] : names.toString('utf8', 0, length).split('\0').slice(0, -1);
  },
  read: async (path, name) => {
    const value = Buffer.alloc(maxBytes);
    const length = await native().read(path, name, value, maxBytes);
    return length < 0 ? undefined : value.toString('utf8', 0, length);
  },
  write: async (path, name, value) => {
    const bytes = Buffer.from(value, 'utf8');
    return (await native().write(path, name, bytes, bytes.length, 0)) === 0;
  },
  remove: async (path, name) => (await native().remove(path, name)) === 0,
};
