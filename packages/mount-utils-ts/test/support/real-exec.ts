import { spawn } from 'node:child_process';
import type { Exec, ExecFailure, ExecResult } from '../../src/exec.js';

/** Runs programs for the tests that mount for real. */
export const realExec: Exec = (program, args, options = {}) =>
  new Promise<ExecResult>((resolve) => {
    let failure: ExecFailure | undefined;
    const out: string[] = [];
    const err: string[] = [];
    const child = spawn(program, args, { env: { ...process.env, LC_ALL: 'C' } });
    const stop = (why: ExecFailure) => {
      failure ??= why;
      child.kill('SIGKILL');
    };
    const onAbort = () => {
      stop('aborted');
    };
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(stop, options.timeoutMs, 'timed-out');
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const end = (exitCode: number | null) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      const result = { exitCode, stdout: out.join(''), stderr: err.join('') };
      resolve(failure === undefined ? result : { ...result, failure });
    };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => out.push(chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => err.push(chunk));
    child.stdin.on('error', () => undefined).end(options.stdin ?? '');
    child.on('error', () => {
      failure ??= 'not-found';
      end(null);
    });
    child.on('close', end);
    if (options.signal?.aborted === true) onAbort();
  });

/** Runs a program that must succeed, and gives its stdout. */
export async function run(program: string, ...args: string[]): Promise<string> {
  const result = await realExec(program, args);
  if (result.failure !== undefined || result.exitCode !== 0) {
    throw new Error(`${program} ${args.join(' ')}: ${result.failure ?? result.exitCode ?? 'killed'}: ${result.stderr}`);
  }
  return result.stdout;
}
