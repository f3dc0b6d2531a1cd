import type { MountInfo } from 'mount-utils-ts';
import type { CephfsVolumeId } from '../../domain/volume-id.js';

/**
 * Is this entry of the mount table a kernel mount of this file system's directory? Sources are `MONITORS:/path` with the option
 * mds_namespace, or `user@fsid.fs=/path` (mount.ceph(8), Linux 5.17). The table does not tell which cluster it is. A volume that shows
 * a snapshot is mounted from a directory that its id doesn't name: any of the file system's counts, and its place says which it is.
 */
export function showsDirectory(entry: MountInfo, id: CephfsVolumeId): boolean {
  if (entry.fsType !== 'ceph') return false;
  const device = /^[^@/]+@[^=/]*?\.([^=/]+)=(\/.*)$/s.exec(entry.source);
  if (device !== null) return device[1] === id.fsName && (id.isView === true || device[2] === id.path);
  const path = /:(\/.*)$/s.exec(entry.source)?.[1];
  const named = entry.superOptions.find((option) => option.startsWith('mds_namespace='));
  return (id.isView === true || path === id.path) && named === `mds_namespace=${id.fsName}`;
}
