import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';

/** True when something is at `path`, a dangling symbolic link included. Throws what lstat(2) says beyond "absent". */
export async function pathExists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** True when `path` is `base` or lies below it. Compares names only: resolve symbolic links before. */
export function pathWithinBase(path: string, base: string): boolean {
  const way = relative(resolve(base), resolve(path));
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`));
}

/**
 * `path` with the symbolic links of its parent resolved and its last component untouched: asking the file system that
 * is mounted *at* `path` could hang.
 */
export async function resolveParent(path: string): Promise<string> {
  const absolute = resolve(path);
  if (absolute === '/') return absolute;
  try {
    return join(await realpath(dirname(absolute)), basename(absolute));
  } catch (error) {
    if (isAbsent(error)) return absolute;
    throw error;
  }
}

/** True for ENOENT and ENOTDIR: nothing is at the path. */
export function isAbsent(error: unknown): boolean {
  const code = errnoCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** The `code` of a node system error. */
export function errnoCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
