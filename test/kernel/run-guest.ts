import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { spawn, type ChildProcess } from 'node:child_process';
import type { Row } from '../../scripts/testing/results.js';

export interface Guest {
  /** virtme-ng's program. */
  readonly vng: string;
  /** A vmlinuz with its modules beside it. */
  readonly kernel: string;
  /** The one directory that the guest may write to for others to read. */
  readonly exchange: string;
  readonly consoleLog: string;
  /** A program of this repository and its arguments, for node. */
  readonly program: readonly string[];
  readonly timeoutMs: number;
}

/** What the program leaves in the exchange directory as outcome.json: virtme-ng may lose its exit code. */
export interface GuestOutcome {
  readonly rows: readonly Row[];
  readonly isWhole: boolean;
}

/** The guest's tests begin their lines so; what the kernel says goes to the log alone. */
const forScreen = /^ {2}(?:ok|FAILED| )/;
const graceMs = 5_000;

/**
 * Boots, runs the program as root, and powers off. Software emulation: KVM needs a /dev/kvm whose guests run, which not every machine
 * that has the device can do. @returns what went wrong with the machine itself, in words.
 */
export async function runGuest(guest: Guest): Promise<string | undefined> {
  const repository = process.cwd();
  const command = [process.execPath, '--enable-source-maps', ...guest.program].map(quoted).join(' ');
  const args = [
    '--disable-kvm',
    ...['--run', guest.kernel, '--user', 'root', '--cpus', '2', '--memory', '3G', '--verbose'],
    // Its wait for an address would not end here; the guest sets its own.
    ...['--network', 'user', '--no-dhcp'],
    // The root doesn't change meanwhile: with a cache, programs start three times as fast.
    ...['--append', 'rootflags=version=9p2000.L,trans=virtio,access=any,msize=512000,cache=loose'],
    ...['--overlay-rwdir', repository, '--rwdir', guest.exchange],
    ...['--cwd', repository, '--exec', `UV_THREADPOOL_SIZE=96 ${command}`],
  ];
  const path = `${dirname(guest.vng)}:${process.env.PATH ?? ''}`;
  const child = spawn(guest.vng, args, {
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (forScreen.test(line)) console.log(line.trimEnd());
    });
  }
  const failure = await ended(child, guest.timeoutMs);
  await mkdir(dirname(guest.consoleLog), { recursive: true });
  await writeFile(guest.consoleLog, `${lines.join('\n')}\n`);
  return failure;
}

async function ended(child: ChildProcess, timeoutMs: number): Promise<string | undefined> {
  const late = AbortSignal.timeout(timeoutMs);
  late.addEventListener('abort', () => {
    end(child);
  });
  const interrupted = (): void => {
    end(child);
  };
  process.once('SIGTERM', interrupted);
  process.once('SIGINT', interrupted);
  try {
    const code = await new Promise<number | null | string>((resolve) => {
      child.once('error', (error) => {
        resolve(error.message);
      });
      child.once('close', (exitCode) => {
        resolve(exitCode);
      });
    });
    if (late.aborted) return `was not done after ${timeoutMs / 1_000} s`;
    return code === 0 ? undefined : `ended with ${String(code)}`;
  } finally {
    process.off('SIGTERM', interrupted);
    process.off('SIGINT', interrupted);
  }
}

/** The emulator is a child of a child: the whole group goes. */
function end(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  process.kill(-pid, 'SIGTERM');
  setTimeout(() => {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It has gone.
    }
  }, graceMs).unref();
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
