import { loadLibrary, type NativeFunction } from './library.js';

let native: NativeFunction | undefined;

/** Ceph's numbers and names of pools are shorter. */
const maxBytes = 256;

/**
 * getxattr(2), in libuv's thread pool: it asks the mounted file system, and may hang with it.
 * @returns undefined when there is no such attribute, or when the path can't be asked for any.
 */
export async function readPathAttribute(path: string, name: string): Promise<string | undefined> {
  native ??= loadLibrary('libc.so.6', 'libc6').call(
    'long getxattr(const char *path, const char *name, void *value, size_t size)',
  );
  const value = Buffer.alloc(maxBytes);
  const length = await native(path, name, value, maxBytes);
  return length < 0 ? undefined : value.toString('utf8', 0, length);
}
