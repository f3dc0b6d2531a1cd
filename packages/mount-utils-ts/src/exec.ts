/** Why a program did not end by itself. */
export type ExecFailure = 'not-found' | 'timed-out' | 'aborted' | 'killed';

export interface ExecResult {
  exitCode: number | null;
  stdout: string;
  stderr: string;
  /** Set when the program did not end by itself; `exitCode` is then not to be trusted. */
  failure?: ExecFailure;
}

export interface ExecOptions {
  signal?: AbortSignal;
  /** Milliseconds after which the program is killed and `failure` is `timed-out`. */
  timeoutMs?: number;
  stdin?: string;
}

/**
 * Runs one program with `LC_ALL=C` and without a shell.
 *
 * It never rejects for a program's failure. It must answer once the time is up even when the killed program cannot
 * be reaped yet: a mount(8) that waits in the kernel does not die of SIGKILL.
 */
export type Exec = (program: string, args: readonly string[], options?: ExecOptions) => Promise<ExecResult>;

/** What bounds a call: both are optional. */
export interface MountContext {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

/** How long a program gets when the caller named no limit. */
export const DEFAULT_TIMEOUT_MS = 60_000;

/** The options of one abortable program: the caller's signal and time limit, or the default limit. */
export function execOptionsOf(ctx: MountContext, defaultTimeoutMs: number = DEFAULT_TIMEOUT_MS): ExecOptions {
  const timeoutMs = ctx.timeoutMs ?? defaultTimeoutMs;
  return ctx.signal === undefined ? { timeoutMs } : { timeoutMs, signal: ctx.signal };
}

/** True when the program ran to its end and said 0. */
export function succeeded(result: ExecResult): boolean {
  return result.failure === undefined && result.exitCode === 0;
}
