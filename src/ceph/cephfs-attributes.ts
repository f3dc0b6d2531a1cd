import { errno } from './ceph-error.js';
import type { CephFsMount } from './cephfs-mount.js';
import { libcephfs, xattrCreate } from './native/libcephfs.js';

const usualBytes = 1024;

/** undefined when it isn't set. Runs inside a job. @param path below the mounted root. */
export async function readAttribute(
  mount: CephFsMount,
  path: string,
  name: string,
  doing: string,
): Promise<string | undefined> {
  for (let size = usualBytes; ;) {
    const value = Buffer.alloc(size);
    const length = await libcephfs().getAttribute(mount.handle, path, name, value, size);
    if (length === -errno.ENODATA) return undefined;
    if (length !== -errno.ERANGE) return value.toString('utf8', 0, mount.check(length, doing));
    size = mount.check(await libcephfs().getAttribute(mount.handle, path, name, value, 0), doing);
  }
}

/** Runs inside a job. @param path below the mounted root. */
export async function listAttributes(mount: CephFsMount, path: string, doing: string): Promise<string[]> {
  for (let size = usualBytes; ;) {
    const names = Buffer.alloc(size);
    const length = await libcephfs().listAttributes(mount.handle, path, names, size);
    if (length !== -errno.ERANGE) {
      const text = names.toString('utf8', 0, mount.check(length, doing));
      return text.split('\0').filter((name) => name !== '');
    }
    size = mount.check(await libcephfs().listAttributes(mount.handle, path, names, 0), doing);
  }
}

/** @returns false when it is there already and only a new one was asked for. Runs inside a job. */
export async function writeAttribute(
  mount: CephFsMount,
  path: string,
  name: string,
  value: string,
  doing: string,
  onlyIfAbsent = false,
): Promise<boolean> {
  const bytes = Buffer.from(value, 'utf8');
  const flags = onlyIfAbsent ? xattrCreate : 0;
  const returned = await libcephfs().setAttribute(mount.handle, path, name, bytes, bytes.length, flags);
  if (onlyIfAbsent && returned === -errno.EEXIST) return false;
  mount.check(returned, doing);
  return true;
}

/** One that isn't there is fine. Runs inside a job. */
export async function deleteAttribute(mount: CephFsMount, path: string, name: string, doing: string): Promise<void> {
  if (name.startsWith('ceph.quota.')) {
    // Ceph 16 answers ENODATA to the removal of a quota, and leaves it: 0 is how one ends.
    await writeAttribute(mount, path, name, '0', doing);
    return;
  }
  const returned = await libcephfs().removeAttribute(mount.handle, path, name);
  if (returned !== -errno.ENODATA) mount.check(returned, doing);
}
