import type { CephFsMount } from './cephfs-mount.js';
import { writeAttribute } from './cephfs-attributes.js';
import { zeroTerminated } from './cephfs-directory.js';
import type { DirectoryCreation } from './client.js';
import { splitPath } from './file-system-path.js';
import { type PointerOut, written } from './native/library.js';
import { libcephfs, statxBytes } from './native/libcephfs.js';

/**
 * Makes a directory, then sets its attributes, one after the other: an MDS lets a quota that comes together with another attribute
 * wait until that one is in its journal, which nothing hurries: five seconds (mds_tick_interval). Runs inside a job.
 * @param path below the mounted root
 */
export async function createDirectory(
  mount: CephFsMount,
  path: string,
  directory: DirectoryCreation,
  doing: string,
): Promise<void> {
  const { mode, uid, gid } = directory;
  if (uid === undefined || gid === undefined) {
    mount.check(await libcephfs().makeDirectory(mount.handle, path, mode), doing);
  } else {
    await makeOwned(mount, path, { mode, uid, gid }, doing);
  }
  for (const [name, value] of directory.attributes) await writeAttribute(mount, path, name, value, doing);
}

/**
 * As the owner, in the same request. A chown afterwards would lie in the library's memory for seconds, lost if the process is
 * killed, and nobody could read the directory's status until the MDS gives the dead client up.
 */
async function makeOwned(
  mount: CephFsMount,
  path: string,
  how: { mode: number; uid: number; gid: number },
  doing: string,
): Promise<void> {
  const cephfs = libcephfs();
  const { handle } = mount;
  const { parent, name } = splitPath(path);
  const status = Buffer.alloc(statxBytes);
  const owner = cephfs.newPermissions(how.uid, how.gid, 0, null);
  const opened: PointerOut = [null];
  const made: PointerOut = [null];
  try {
    mount.check(await cephfs.walk(handle, parent, opened, status, 0, 0, mount.permissions), doing);
    const directory = zeroTerminated(name);
    mount.check(
      await cephfs.makeDirectoryIn(handle, written(opened), directory, how.mode, made, status, 0, 0, owner),
      doing,
    );
  } finally {
    for (const inode of [opened[0], made[0]]) if (inode !== null) await cephfs.putInode(handle, inode);
    cephfs.destroyPermissions.sync(owner);
  }
}
