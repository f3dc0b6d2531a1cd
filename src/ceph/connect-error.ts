import { access as accessFile, constants } from 'node:fs/promises';
import { type CephCall, CephError, cephError, errno } from './ceph-error.js';
import type { CephAccess } from './client.js';

/** What rados_connect's return value means. @param keyring the keyring files that the library looked into. */
export async function connectError(
  returned: number,
  call: CephCall,
  access: CephAccess,
  keyring: string,
): Promise<CephError> {
  const where = `cluster "${call.clusterId}"`;
  const value = -returned;
  switch (value) {
    case errno.EACCES:
    case errno.EPERM:
      // Without any key, librados 16 tries with none and is refused.
      if (access.key === undefined && !(await anyReadable(keyring))) return noKey(where, call, keyring, value);
      return new CephError(
        'UNAUTHENTICATED',
        `${where} refuses client.${call.user}: the key is wrong or the user does not exist (compare: ceph auth get client.${call.user}); correct userID and userKey in the Secret`,
        value,
      );
    case errno.ENOENT:
    case errno.EOPNOTSUPP:
      return noKey(where, call, access.key === undefined ? keyring : '', value);
    case errno.EINVAL:
      // The key was looked at before (configure): what is left are monitors that don't parse or don't resolve.
      return new CephError(
        'UNAVAILABLE',
        `can't connect as client.${call.user} to ${where}: its monitors "${call.monitors}" are no addresses and don't resolve: correct \`monitors\` (or mon_host in its ceph.conf), or the name service`,
        value,
      );
    default:
      return cephError(returned, call);
  }
}

function noKey(where: string, call: CephCall, keyring: string, value: number): CephError {
  const looked = keyring === '' ? '' : ` (looked into ${keyring})`;
  return new CephError(
    'UNAUTHENTICATED',
    `there is no usable key for client.${call.user} of ${where}${looked}: give userID and userKey in the Secret, or a keyring for the cluster in the driver's configuration`,
    value,
  );
}

async function anyReadable(paths: string): Promise<boolean> {
  const tried = paths.split(/[,;\s]+/).filter((path) => path !== '');
  const found = await Promise.allSettled(tried.map(async (path) => accessFile(path, constants.R_OK)));
  return found.some((result) => result.status === 'fulfilled');
}
