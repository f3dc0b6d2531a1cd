import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProgramOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Without it the program may take as long as it likes. */
  readonly timeoutMs?: number;
  /** Whether its output goes to the screen at once or is handed back. */
  readonly output: 'screen' | 'return';
}

export interface ProgramEnd {
  readonly stdout: string;
  readonly stderr: string;
  /** Undefined when it ended well. */
  readonly failure: string | undefined;
  readonly seconds: number;
}

const GRACE_MS = 15_000;
const PIPE_GRACE_MS = 2_000;

/** Runs a program in a process group of its own; when time is up or the run is interrupted, the whole group is ended. */
export async function runProgram(program: string, args: string[], options: ProgramOptions): Promise<ProgramEnd> {
  const began = performance.now();
  if (options.signal.aborted) return { stdout: '', stderr: '', failure: 'not started: interrupted', seconds: 0 };
  const stdio = options.output === 'screen' ? 'inherit' : 'pipe';
  const child = spawn(program, args, { env: options.env, detached: true, stdio: ['ignore', stdio, stdio] });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const exit = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => {
      resolve(error.message);
    });
    child.once('exit', (code, signal) => {
      resolve(code === 0 ? undefined : signal === null ? `exit code ${code ?? '?'}` : `ended by ${signal}`);
    });
  });
  const stopped = await stopWhenDue(child, exit, options);
  const ended = await exit;
  // A daemon left behind can hold the pipes open for ever.
  await Promise.race([Promise.all([stdout.end, stderr.end]), sleep(PIPE_GRACE_MS, undefined, { ref: false })]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  return {
    stdout: stdout.text(),
    stderr: stderr.text(),
    failure: stopped ?? ended,
    seconds: (performance.now() - began) / 1000,
  };
}

/** Resolves with the reason when the program had to be stopped, and with undefined when it ended by itself. */
async function stopWhenDue(
  child: ChildProcess,
  exit: Promise<unknown>,
  options: ProgramOptions,
): Promise<string | undefined> {
  const due = options.timeoutMs === undefined ? [] : [AbortSignal.timeout(options.timeoutMs)];
  const stop = AbortSignal.any([options.signal, ...due]);
  const stopAsked = new Promise<'stop'>((resolve) => {
    stop.addEventListener('abort', () => {
      resolve('stop');
    });
  });
  if ((await Promise.race([exit, stopAsked])) !== 'stop') return undefined;
  signalGroup(child, 'SIGTERM');
  await Promise.race([exit, sleep(GRACE_MS, undefined, { ref: false })]);
  signalGroup(child, 'SIGKILL');
  return options.signal.aborted ? 'interrupted' : `stopped after ${(options.timeoutMs ?? 0) / 1000} s`;
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone.
  }
}

function collect(stream: Readable | null): { text: () => string; end: Promise<void> } {
  const chunks: Buffer[] = [];
  const end = new Promise<void>((resolve) => {
    if (stream === null) {
      resolve();
      return;
    }
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('close', resolve);
  });
  return { text: () => Buffer.concat(chunks).toString(), end };
}
