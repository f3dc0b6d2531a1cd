import type { MountInfo } from 'mount-utils-ts';
import { parseVolumeId } from '../../domain/volume-id.js';
import type { MounterKind } from './mounter.js';

/**
 * How many directories this node has mounted by each mounter: those of ceph-fuse by the volume ids that their mounts show, those of the
 * kernel whoever has mounted them, for its table does not tell. Binds of one mount are one.
 */
export function mountedDirectories(table: readonly MountInfo[]): ReadonlyMap<MounterKind, number> {
  const kernel = table.filter((entry) => entry.fsType === 'ceph');
  const fuse = table.filter(
    (entry) => entry.fsType.startsWith('fuse') && parseVolumeId(entry.source)?.backend === 'cephfs',
  );
  return new Map([
    ['kernel', devicesOf(kernel)],
    ['fuse', devicesOf(fuse)],
  ]);
}

/** The kernel gives mounts of one file system one device, whichever of its directories they show: it is its root that tells them apart. */
function devicesOf(entries: readonly MountInfo[]): number {
  return new Set(entries.map(({ major, minor, source }) => `${major}:${minor} ${source}`)).size;
}
