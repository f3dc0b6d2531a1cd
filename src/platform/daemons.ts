import { type FileHandle, readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { ExecResult } from 'mount-utils-ts';
import { DriverError } from '../domain/errors.js';
import { asStdio, namelessFile } from './nameless-file.js';
import type { Secret } from './secret.js';

/** A program that carries data and outlives the plugin process, such as qemu-storage-daemon. */
export interface DaemonStart {
  readonly program: string;
  /** It must put itself into the background when it is ready (e.g. --daemonize): its parent's exit means "serving". */
  readonly args: readonly string[];
  /** Readable by the program as /dev/fd/3, /dev/fd/4, ...: files in memory that never have a name, so a crash leaves nothing. */
  readonly secrets?: readonly Secret[];
  readonly timeoutMs: number;
}

/** Where such programs run. One interface, because in a cluster they must not end with the plugin's container. */
export interface DaemonHost {
  /** How the program that puts the daemon into the background has ended. It never rejects for that program's own failure. */
  run(daemon: DaemonStart): Promise<ExecResult>;
  /** Processes of this program that have `argument` as part of an argument; found in /proc, no pid files. */
  find(program: string, argument: string): Promise<number[]>;
  /** Has this process the file open? False when it has ended. */
  hasOpen(pid: number, path: string): Promise<boolean>;
  /** SIGTERM, then SIGKILL after graceMs. Returns when the process is gone. */
  stop(pid: number, graceMs: number): Promise<void>;
}

const stderrTail = 600;

/** Returns when the daemon serves. @throws DriverError FAILED_PRECONDITION (not installed), INTERNAL with the end of its error output. */
export async function startDaemon(host: DaemonHost, daemon: DaemonStart): Promise<void> {
  const { exitCode, stderr, failure } = await host.run(daemon);
  if (exitCode === 0) return;
  if (failure === 'not-found')
    throw new DriverError('FAILED_PRECONDITION', `${daemon.program} is not installed on this node`);
  const why = failure === 'timed-out' ? `it was not ready within ${daemon.timeoutMs} ms` : tail(stderr);
  throw new DriverError('INTERNAL', `${daemon.program} could not be started: ${why}`);
}

/** Daemons as detached processes beside this one, in its namespaces. */
export const localDaemons: DaemonHost = {
  async run(daemon) {
    const secrets: FileHandle[] = [];
    try {
      for (const secret of daemon.secrets ?? []) secrets.push(await namelessFile(secret.reveal()));
      const child = await execa(daemon.program, daemon.args, {
        reject: false,
        timeout: daemon.timeoutMs,
        env: { LC_ALL: 'C' },
        stdio: ['ignore', 'pipe', 'pipe', ...secrets.map(asStdio)],
      });
      const result = { exitCode: child.exitCode ?? null, stdout: child.stdout, stderr: child.stderr };
      if (child.exitCode !== undefined) return result;
      if (child.code === 'ENOENT') return { ...result, failure: 'not-found' };
      return { ...result, failure: child.timedOut ? 'timed-out' : 'killed' };
    } finally {
      for (const secret of secrets) await secret.close();
    }
  },

  async find(program, argument) {
    const pids = (await readdir('/proc')).filter((name) => /^[0-9]+$/.test(name));
    const matching = await Promise.all(
      pids.map(async (pid) => {
        // A process may end while we look, and one that has ended has an empty command line.
        const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
        const isProgram = args[0] === program || args[0]?.endsWith(`/${program}`) === true;
        return isProgram && args.slice(1).some((arg) => arg.includes(argument)) ? Number(pid) : undefined;
      }),
    );
    return matching.filter((pid) => pid !== undefined);
  },

  async hasOpen(pid, path) {
    const files = `/proc/${pid}/fd`;
    const numbers = await readdir(files).catch(() => []);
    const targets = await Promise.all(numbers.map(async (one) => readlink(`${files}/${one}`).catch(() => '')));
    return targets.includes(path);
  },

  async stop(pid, graceMs) {
    if (!signal(pid, 'SIGTERM')) return;
    if (await gone(pid, graceMs)) return;
    signal(pid, 'SIGKILL');
    if (await gone(pid, 5_000)) return;
    throw new DriverError(
      'INTERNAL',
      `process ${pid} does not end, not even by SIGKILL: it sleeps in the kernel; see /proc/${pid}/stack`,
    );
  },
};

function tail(text: string): string {
  const trimmed = text.trim();
  return trimmed === '' ? 'it gave no reason' : trimmed.slice(-stderrTail);
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}

async function gone(pid: number, withinMs: number): Promise<boolean> {
  const end = Date.now() + withinMs;
  for (;;) {
    // A zombie's command line is empty: its resources are free, whoever is to reap it.
    const cmdline = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (cmdline === '') return true;
    if (Date.now() > end) return false;
    await sleep(10);
  }
}
