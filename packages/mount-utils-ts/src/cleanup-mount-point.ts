import { lstat, rmdir, unlink } from 'node:fs/promises';
import { DEFAULT_PROBE_TIMEOUT_MS, probePath } from './corrupted-mount.js';
import type { MountContext } from './exec.js';
import { MountError } from './mount-error.js';
import type { MounterLike } from './mounter.js';
import { errnoCode, isAbsent } from './path-within-base.js';

/** More layers than this at one path are no accident of retries but a loop somewhere. */
const MAX_LAYERS = 64;

export interface CleanupOptions {
  /**
   * Default true: the mount table is asked, which sees bind mounts too. False: one stat(2) is asked first and a path that
   * does not look like a mount point is removed at once; a bind mount is then refused as busy, never lost.
   */
  extensive?: boolean | undefined;
  /** How long a mount may take to answer before it counts as hung. Default 5 s. */
  probeTimeoutMs?: number | undefined;
}

/**
 * Unmounts every layer at `path`, then removes the empty directory (or the empty file) that is left. An absent path is
 * fine. A mount that is corrupted, hangs or has lost its root is detached lazily. Nothing is ever deleted recursively: a directory that is
 * not empty, a file that has content and a path that is still a mount point stay, and MountError is thrown.
 */
export async function cleanupMountPoint(
  path: string,
  mounter: MounterLike,
  options: CleanupOptions = {},
  ctx: MountContext = {},
): Promise<void> {
  const probeTimeoutMs = options.probeTimeoutMs ?? DEFAULT_PROBE_TIMEOUT_MS;
  const state = await probePath(path, probeTimeoutMs);
  // The root of a mount whose server has shut its client out may be absent too: the table knows better.
  if (state === 'absent' && !(await mounter.isMountPoint(path))) return;
  const plain = options.extensive === false && state === 'present' && (await mounter.isLikelyNotMountPoint(path));
  if (!plain) await unmountAll(path, mounter, probeTimeoutMs, ctx);
  await removeEmpty(path);
}

async function unmountAll(
  path: string,
  mounter: MounterLike,
  probeTimeoutMs: number,
  ctx: MountContext,
): Promise<void> {
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    ctx.signal?.throwIfAborted();
    if (!(await mounter.isMountPoint(path))) return;
    const state = await probePath(path, probeTimeoutMs);
    // An orderly unmount of a mount that does not answer would wait for it.
    if (state === 'present') await mounter.unmount(path, ctx);
    else await mounter.unmountLazy(path, ctx);
  }
  throw new MountError(
    'Unknown',
    `${path} is still a mount point after ${MAX_LAYERS} unmounts: does something mount it again?`,
  );
}

async function removeEmpty(path: string): Promise<void> {
  try {
    const found = await lstat(path);
    if (found.isDirectory()) await rmdir(path);
    else if (found.isFile() && found.size === 0) await unlink(path);
    else throw new MountError('Unknown', `${path} is neither a directory nor an empty file: it was left in place`);
  } catch (error) {
    if (isAbsent(error)) return;
    const reason = REASONS[errnoCode(error) ?? ''];
    if (reason === undefined) throw error;
    throw new MountError('Unknown', `${path} was left in place: ${reason}`, { cause: error });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EBUSY: 'it is still a mount point, perhaps in another mount namespace. Unmount it there.',
  ENOTEMPTY: 'it is not empty. Look whether its content was written while nothing was mounted there, and move it away.',
  EEXIST: 'it is not empty. Look whether its content was written while nothing was mounted there, and move it away.',
};
