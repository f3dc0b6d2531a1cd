import { CephError, errno } from './ceph-error.js';

/**
 * Where a path of the file system lies below the directory that is mounted as the root.
 * @throws CephError EINVAL (not absolute, or with `.`, `..` or a zero byte), EACCES (outside of the root).
 */
export function pathBelowRoot(fileSystem: string, root: string, path: string): string {
  const parts = partsOf(path);
  if (!path.startsWith('/') || path.includes('\0') || parts.some((part) => part === '.' || part === '..')) {
    throw new CephError('INVALID_ARGUMENT', `"${path}" is no absolute path without "." and ".."`, errno.EINVAL);
  }
  const rootParts = partsOf(root);
  if (rootParts.some((part, i) => part !== parts[i])) {
    throw new CephError(
      'PERMISSION_DENIED',
      `${path} lies outside of ${root}, which is all of file system "${fileSystem}" that this user's key can mount: choose a path below it, or widen the mds capability of the key`,
      errno.EACCES,
    );
  }
  return `/${parts.slice(rootParts.length).join('/')}`;
}

/** The directory that a path is in, and its name there. */
export function splitPath(path: string): { parent: string; name: string } {
  const parts = partsOf(path);
  return { parent: `/${parts.slice(0, -1).join('/')}`, name: parts.at(-1) ?? '' };
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}
