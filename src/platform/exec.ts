import { execa } from 'execa';
import type { Exec, ExecOptions, ExecResult } from 'mount-utils-ts';
import { asStdio, namelessFile } from './nameless-file.js';

const defaultTimeoutMs = 60_000;
type Ended = 'timed-out' | 'aborted';

/** How long a program has to end by itself before SIGKILL. */
const termGraceMs = 500;
/** How long a program that sleeps in the kernel is still waited for, from SIGTERM on: the caller is to hear of it in its time. */
const killGraceMs = 1_500;

/**
 * Runs a program to its end; never rejects for the program's own failure. LC_ALL=C, output bounded, always a deadline: a
 * process that not even SIGKILL ends (uninterruptible sleep in the kernel) is left behind after killGraceMs.
 */
export const runProgram: Exec = async (program, args, options = {}) => {
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const timeout = AbortSignal.timeout(timeoutMs);
  const cancelSignal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
  const failure = (): Ended => (timeout.aborted ? 'timed-out' : 'aborted');
  if (cancelSignal.aborted) return { exitCode: null, stdout: '', stderr: '', failure: failure() };
  const ended = runToEnd(program, args, options, cancelSignal, failure);
  return Promise.race([ended, leftBehind(cancelSignal, ended, failure)]);
};

async function runToEnd(
  program: string,
  args: readonly string[],
  options: ExecOptions,
  cancelSignal: AbortSignal,
  failure: () => Ended,
): Promise<ExecResult> {
  const input = options.stdin === undefined ? undefined : await namelessFile(options.stdin);
  const running = execa(program, args, {
    reject: false,
    // A group of its own: mount(8) waits for a helper (mount.ceph), which must end with it.
    detached: true,
    env: { LC_ALL: 'C' },
    maxBuffer: 4 << 20,
    stdin: input === undefined ? 'ignore' : asStdio(input),
  });
  const killing = killGroupOn(cancelSignal, running.pid);
  const child = await running.finally(async () => {
    killing.over();
    await input?.close();
  });
  const result = { exitCode: child.exitCode ?? null, stdout: child.stdout, stderr: child.stderr };
  if (killing.hasBegun()) return { ...result, exitCode: null, failure: failure() };
  if (child.exitCode !== undefined) return result;
  if (child.code === 'ENOENT') return { ...result, failure: 'not-found' };
  return { ...result, failure: 'killed' };
}

/** When the signal comes, SIGTERM for the whole group, then SIGKILL, until it is over. */
function killGroupOn(signal: AbortSignal, pid: number | undefined): { over: () => void; hasBegun: () => boolean } {
  let timer: NodeJS.Timeout | undefined;
  const kill = (name: NodeJS.Signals): void => {
    try {
      if (pid !== undefined) process.kill(-pid, name);
    } catch {
      // All of it has ended.
    }
  };
  const begin = (): void => {
    kill('SIGTERM');
    timer = setTimeout(kill, termGraceMs, 'SIGKILL');
  };
  if (signal.aborted) begin();
  else signal.addEventListener('abort', begin, { once: true });
  return {
    over: () => {
      signal.removeEventListener('abort', begin);
      clearTimeout(timer);
    },
    hasBegun: () => timer !== undefined,
  };
}

async function leftBehind(
  cancelSignal: AbortSignal,
  ended: Promise<unknown>,
  failure: () => Ended,
): Promise<ExecResult> {
  return new Promise((resolve) => {
    const giveUp = () => {
      const timer = setTimeout(() => {
        resolve({
          exitCode: null,
          stdout: '',
          stderr: 'the process does not end, not even by SIGKILL',
          failure: failure(),
        });
      }, killGraceMs);
      void ended.finally(() => {
        clearTimeout(timer);
      });
    };
    cancelSignal.addEventListener('abort', giveUp, { once: true });
    void ended.finally(() => {
      cancelSignal.removeEventListener('abort', giveUp);
    });
  });
}
