import { type CephCall, errno, type Meaning } from './ceph-error.js';

/** What a key's lack of capabilities means when CephFS was asked for. */
export const fileSystemRefusals: ReadonlyMap<number, Meaning> = new Map<number, Meaning>([
  [errno.EACCES, { code: 'PERMISSION_DENIED', sentence: refused }],
  [errno.EPERM, { code: 'PERMISSION_DENIED', sentence: refused }],
]);

/** What errno values mean when the MDS of a file system, or the client library for it, answers with them. */
export function fileSystemMeanings(fileSystem: string): ReadonlyMap<number, Meaning> {
  const silent: Meaning = {
    code: 'UNAVAILABLE',
    sentence: (call) =>
      `no answer in time from the MDS of file system "${fileSystem}" (monitors ${call.monitors}): check that one is active (ceph fs status ${fileSystem}); the request may be repeated`,
  };
  const evicted: Meaning = {
    code: 'UNAVAILABLE',
    sentence: () =>
      `the MDS of file system "${fileSystem}" has ended this client's session (evicted: ceph osd blocklist ls): it is mounted anew, repeat the request`,
  };
  return new Map<number, Meaning>([
    [errno.ETIMEDOUT, silent],
    [errno.EBLOCKLISTED, evicted],
    [errno.ENOTCONN, evicted],
    ...fileSystemRefusals,
    [errno.ENOTEMPTY, { code: 'FAILED_PRECONDITION', sentence: () => 'the directory is not empty' }],
    [errno.ENOTDIR, { code: 'FAILED_PRECONDITION', sentence: () => 'a part of the path is no directory' }],
    [
      errno.EXDEV,
      { code: 'FAILED_PRECONDITION', sentence: () => 'both places must lie below the same directory with a quota' },
    ],
    [
      errno.EDQUOT,
      {
        code: 'RESOURCE_EXHAUSTED',
        sentence: () =>
          'a quota on a directory above it is reached: raise it (setfattr -n ceph.quota.max_bytes) or free space',
      },
    ],
    [
      errno.ENOSPC,
      {
        code: 'RESOURCE_EXHAUSTED',
        sentence: () =>
          `a pool of file system "${fileSystem}" is full, or an extended attribute has no room: see ceph df and ceph fs status ${fileSystem}`,
      },
    ],
    [errno.EROFS, { code: 'FAILED_PRECONDITION', sentence: () => 'a snapshot can only be read' }],
    [
      errno.EINVAL,
      {
        code: 'INVALID_ARGUMENT',
        sentence: () =>
          `Ceph refuses a value as invalid: a quota is a number of bytes, the pool of a layout is a data pool of file system "${fileSystem}" (ceph fs status ${fileSystem})`,
      },
    ],
  ]);
}

function refused(call: CephCall): string {
  return (
    `client.${call.user} may not do this: check its capabilities (ceph auth get client.${call.user}); a CephFS user needs ` +
    `mon 'allow r', mds 'allow rwps path=...' for the directory that the volumes are in (p sets quotas and layouts, s is for ` +
    `snapshots) and osd 'allow rw tag cephfs data=...'`
  );
}
