import type { RecordPlace } from '../volume-record.js';

/** The volume's record. Of the trusted class (xattr(7)): pods don't see it, a copy by an unprivileged user doesn't take it along. */
export const recordAttribute = 'trusted.cuttle.volume';

/** Virtual extended attributes of CephFS (https://docs.ceph.com, "Quotas", "File layouts"). */
export const maxBytesAttribute = 'ceph.quota.max_bytes';
export const maxFilesAttribute = 'ceph.quota.max_files';
export const poolAttribute = 'ceph.dir.layout.pool';
export const poolNamespaceAttribute = 'ceph.dir.layout.pool_namespace';
/** On a snapshot's directory: when it was taken, in seconds with a fraction. */
export const snapshotTimeAttribute = 'ceph.snap.btime';
/** Bytes of everything below a directory. */
export const usedBytesAttribute = 'ceph.dir.rbytes';

/** Where a directory's record lies, for parseRecord. */
export function recordPlace(path: string): RecordPlace {
  return {
    what: `the extended attribute ${recordAttribute} of ${path}`,
    removal: `setfattr -x ${recordAttribute} on the mounted directory`,
  };
}
