import { basename } from 'node:path/posix';
import type { ClusterDefinition } from '../../ceph/clusters.js';
import { DriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';

/** The driver's own directory beside the volumes of a group. */
const hiddenName = '.cuttle';

export function volumePath(cluster: ClusterDefinition, name: string): string {
  return `${cluster.cephfs.groupPath}/${name}`;
}

/** Where deleted volumes of a group lie until they are purged; in the group, so that a key restricted to it reaches it. */
export function trashPath(groupPath: string): string {
  return `${join(groupPath, hiddenName)}/trash`;
}

/** Directories of deleted volumes that still have snapshots. */
export function deletedPath(home: string, path: string, inode: string): string {
  return `${join(home, hiddenName)}/deleted/${basename(path)}.${inode}`;
}

/** The directory whose hidden one holds such a directory; undefined for one that is no deleted volume's. */
export function homeOfDeleted(path: string): string | undefined {
  const at = path.lastIndexOf(`/${hiddenName}/deleted/`);
  return at < 0 ? undefined : path.slice(0, at) || '/';
}

/** Where a deleted volume may have gone: its group, or beside where it was when a quota's border lies between. */
export function deletedHomes(mountedRoot: string, home: string, path: string): string[] {
  const parent = parentOf(path);
  return parent === home || !isWithin(parent, mountedRoot) ? [home] : [home, parent];
}

/** One entry for each trash that lies outside of the group. */
export function elsewherePath(groupPath: string): string {
  return `${join(groupPath, hiddenName)}/elsewhere`;
}

/** One entry per snapshot. */
export function registryPath(home: string): string {
  return `${join(home, hiddenName)}/snapshots`;
}

/** Where a volume is made whole before it gets its name. */
export function copyPath(home: string, path: string): string {
  return `${join(home, hiddenName)}/copies/${basename(path)}`;
}

export function snapshotsPath(directory: string): string {
  return join(directory, '.snap');
}

export function snapshotPath(directory: string, name: string): string {
  return `${snapshotsPath(directory)}/${name}`;
}

/** Nothing there can be written, attributes included, and those that it has are its source's. */
export function isInSnapshot(path: string): boolean {
  return path.split('/').includes('.snap');
}

/** The directory whose hidden one serves a volume: its group where that can be reached, else the one above the volume. */
export function homeOf(mountedRoot: string, groupPath: string, path: string): string {
  return isWithin(groupPath, mountedRoot) ? groupPath : parentOf(path);
}

/** Held by the controller that purges. */
export function purgeLockPath(groupPath: string): string {
  return `${join(groupPath, hiddenName)}/purge.lock`;
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/**
 * Directories that may be mounted to reach a volume, the widest first: everything is then reached by one mount; a key restricted
 * to the group or to the volume gets the next.
 */
export function mountRoots(groupPath: string, path: string): string[] {
  const roots = ['/', groupPath, parentOf(path), path];
  return roots.filter((root, i) => roots.indexOf(root) === i && isWithin(path, root));
}

/** @throws DriverError FAILED_PRECONDITION for what would take other volumes along, or isn't a volume's own directory. */
export function refuseUndeletable(id: CephfsVolumeId, groupPath: string): void {
  const names = id.path.split('/');
  const why = isWithin(groupPath, id.path)
    ? `it holds ${groupPath}, where this driver keeps its volumes`
    : names.includes(hiddenName)
      ? `it lies in the driver's own directory ${hiddenName}`
      : isInSnapshot(id.path)
        ? 'it is a snapshot'
        : undefined;
  if (why === undefined) return;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `volume ${formatVolumeId(id)} can't be deleted: ${why}; set persistentVolumeReclaimPolicy to Retain`,
  );
}

/** The path and those above it, below the mounted root, from the top down. */
export function pathsTo(mountedRoot: string, path: string): string[] {
  const paths: string[] = [];
  for (let at = path; at !== mountedRoot && at !== '/'; at = parentOf(at)) paths.unshift(at);
  return paths;
}

/** A name in the trash that nothing else has. */
export function trashName(path: string, unique: string): string {
  return `${basename(path)}.${unique}`;
}

/** Is it this directory or one below? */
export function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}

function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}
