import { stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { errnoCode, isAbsent } from './path-within-base.js';

/** From asm-generic/errno.h: os.constants.errno has no name for these. */
const ESHUTDOWN = 108;
const EHOSTDOWN = 112;
const EKEYEXPIRED = 127;

/** The errors errno(3) with which a file system whose server or daemon is gone answers. */
const CORRUPTED_ERRNOS: ReadonlySet<number> = new Set([
  constants.errno.ENOTCONN,
  // What a FUSE request under way gets when its daemon dies (linux, fs/fuse/dev.c); the next one gets ENOTCONN.
  constants.errno.ECONNABORTED,
  constants.errno.ESTALE,
  constants.errno.EIO,
  constants.errno.EACCES,
  EHOSTDOWN,
  // A mount whose server does not come back answers so when it is soft.
  constants.errno.EWOULDBLOCK,
  // A client that its cluster shut out answers so.
  ESHUTDOWN,
  EKEYEXPIRED,
]);

const CORRUPTED_CODES: ReadonlySet<string> = new Set([
  'ENOTCONN',
  'ECONNABORTED',
  'ESTALE',
  'EIO',
  'EACCES',
  'EHOSTDOWN',
  'EAGAIN',
  'ESHUTDOWN',
  'EKEYEXPIRED',
]);

/** True when the error of a file system call says that the mount, not the file, is broken. */
export function isCorruptedMount(error: unknown): boolean {
  const code = errnoCode(error);
  if (code !== undefined && CORRUPTED_CODES.has(code)) return true;
  // libuv has no name for ESTALE and some others: their code reads "Unknown system error -116", the number is right.
  return (
    error instanceof Error && 'errno' in error && typeof error.errno === 'number' && CORRUPTED_ERRNOS.has(-error.errno)
  );
}

export type PathState = 'present' | 'absent' | 'corrupted' | 'hung';

export const DEFAULT_PROBE_TIMEOUT_MS = 5_000;

/** Probes that have not been answered, by path: see probePath. */
const unanswered = new Map<string, Promise<PathState>>();

/**
 * What a stat(2) of `path` says, within `timeoutMs`; `hung` when it has not answered by then.
 *
 * A stat that hangs cannot be taken back: it keeps one of libuv's threads (4 unless UV_THREADPOOL_SIZE says more) until
 * the mount answers or is cleared. So a path whose stat is still unanswered is not asked again: a second probe waits
 * for the same stat, and one broken mount never costs more than one thread.
 *
 * Throws errors that speak neither of absence nor of a broken mount, such as ELOOP.
 */
export async function probePath(path: string, timeoutMs: number = DEFAULT_PROBE_TIMEOUT_MS): Promise<PathState> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<PathState>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, 'hung');
  });
  try {
    return await Promise.race([statOnce(path), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** After a lazy unmount: what the old mount never answered says nothing about what is at the path now. */
export function forgetProbes(path: string): void {
  for (const asked of unanswered.keys()) if (asked === path || asked.startsWith(`${path}/`)) unanswered.delete(asked);
}

function statOnce(path: string): Promise<PathState> {
  const asked = unanswered.get(path);
  if (asked !== undefined) return asked;
  const answer: Promise<PathState> = stateOf(path).finally(() => {
    if (unanswered.get(path) === answer) unanswered.delete(path);
  });
  // When nobody waits any longer, an error that comes late must not end the process.
  answer.catch(() => undefined);
  unanswered.set(path, answer);
  return answer;
}

async function stateOf(path: string): Promise<PathState> {
  try {
    await stat(path);
    return 'present';
  } catch (error) {
    if (isAbsent(error)) return 'absent';
    if (isCorruptedMount(error)) return 'corrupted';
    throw error;
  }
}
