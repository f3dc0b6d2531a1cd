import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { spawn, type ChildProcess } from 'node:child_process';

export interface Guest {
  /** virtme-ng's program. */
  readonly vng: string;
  /** A vmlinuz with its modules beside it. */
  readonly kernel: string;
  /** The one directory that the guest may write to for others to read. */
  readonly exchange: string;
  /** What the guest says is added to it. */
  readonly consoleLog: string;
  /** A program of this repository and its arguments, for node. */
  readonly program: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly processors: number;
  readonly timeoutMs: number;
  /** Ends the machine at once, as a power failure would. */
  readonly reset: AbortSignal;
}

/** The guest's tests begin their lines so; what the kernel says goes to the log alone. */
const forScreen = /^ {2}(?:ok|FAILED| )/;
const graceMs = 5_000;

/**
 * Boots, runs the program as root, and powers off. Software emulation: KVM needs a /dev/kvm whose guests run, which not every machine
 * that has the device can do. @returns what went wrong with the machine itself, in words; a reset is nothing wrong.
 */
export async function runGuest(guest: Guest): Promise<string | undefined> {
  const repository = process.cwd();
  const command = [process.execPath, ...guest.program].map(quoted).join(' ');
  const env = Object.entries(guest.env).map(([name, value]) => `${name}=${quoted(value)}`);
  const args = [
    // QEMU 7's own virtiofsd doesn't serve a whole root: each try costs three seconds.
    ...['--disable-kvm', '--force-9p'],
    ...['--run', guest.kernel, '--user', 'root', '--cpus', String(guest.processors), '--memory', '3G', '--verbose'],
    // Its wait for an address would not end here; the guest sets its own.
    ...['--network', 'user', '--no-dhcp'],
    // The root doesn't change meanwhile: with a cache, programs start three times as fast.
    ...['--append', 'rootflags=version=9p2000.L,trans=virtio,access=any,msize=512000,cache=loose'],
    ...['--overlay-rwdir', repository, '--rwdir', guest.exchange],
    ...['--cwd', repository, '--exec', [...env, command].join(' ')],
  ];
  const path = `${dirname(guest.vng)}:${process.env.PATH ?? ''}`;
  await mkdir(dirname(guest.consoleLog), { recursive: true });
  const log = createWriteStream(guest.consoleLog, { flags: 'a' });
  const child = spawn(guest.vng, args, {
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      log.write(`${line}\n`);
      if (forScreen.test(line)) console.log(line.trimEnd());
    });
  }
  const failure = await ended(child, guest);
  await new Promise((resolve) => log.end(resolve));
  return failure;
}

async function ended(child: ChildProcess, { timeoutMs, reset }: Guest): Promise<string | undefined> {
  const late = AbortSignal.timeout(timeoutMs);
  const end = (): void => {
    signalGroup(child, 'SIGTERM');
    setTimeout(() => {
      signalGroup(child, 'SIGKILL');
    }, graceMs).unref();
  };
  late.addEventListener('abort', end);
  reset.addEventListener('abort', () => {
    signalGroup(child, 'SIGKILL');
  });
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  try {
    const code = await new Promise<number | null | string>((resolve) => {
      child.once('error', (error) => {
        resolve(error.message);
      });
      child.once('close', (exitCode) => {
        resolve(exitCode);
      });
    });
    if (reset.aborted) return undefined;
    if (late.aborted) return `was not done after ${(timeoutMs / 1_000).toFixed(0)} s`;
    return code === 0 ? undefined : `ended with ${String(code)}`;
  } finally {
    late.removeEventListener('abort', end);
    process.off('SIGTERM', end);
    process.off('SIGINT', end);
  }
}

/** The emulator is a child of a child: the whole group is meant. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has gone.
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
