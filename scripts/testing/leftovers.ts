import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

const attemptMs = 10_000;

export interface Leftover {
  readonly kind: 'cluster' | 'mount' | 'loop' | 'process';
  /** What it is, in words. */
  readonly text: string;
}

interface FoundProcess {
  readonly pid: number;
  readonly command: string;
}

/** Mounts, loop devices and processes that belong to the run in `dir`, whose processes have `mark`=dir in their environment. */
export async function findLeftovers(dir: string, mark: string): Promise<Leftover[]> {
  const [mounts, loops, processes] = await Promise.all([mountsOf(dir), loopsOf(dir), processesOf(dir, mark)]);
  return [
    ...mounts.map((path): Leftover => ({ kind: 'mount', text: `mount at ${path}` })),
    ...loops.map(({ device, file }): Leftover => ({ kind: 'loop', text: `loop device ${device} of ${file}` })),
    ...processes.map(({ pid, command }): Leftover => ({ kind: 'process', text: `process ${pid}: ${command}` })),
  ];
}

/** Takes away what findLeftovers finds. Best effort: what cannot be removed has been reported. */
export async function removeLeftovers(dir: string, mark: string): Promise<void> {
  const loops = await loopsOf(dir);
  for (const path of (await mountsOf(dir)).reverse()) await attempt('umount', ['--lazy', path]);
  for (const { device } of loops) await attempt('losetup', ['--detach', device]);
  for (const { pid } of await processesOf(dir, mark)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  }
}

/** Not waited for endlessly: unmounting a volume whose cluster is gone hangs, deaf to signals, until its daemon is killed. */
async function attempt(program: string, args: string[]): Promise<void> {
  await Promise.race([execa(program, args, { reject: false }), sleep(attemptMs, undefined, { ref: false })]);
}

/** Mount points below dir, in the order in which they were mounted. */
async function mountsOf(dir: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines
    .map((line) => unescape(line.split(' ')[4] ?? ''))
    .filter((path) => path === dir || path.startsWith(`${dir}/`));
}

function unescape(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

async function loopsOf(dir: string): Promise<{ device: string; file: string }[]> {
  const names = (await readdir('/sys/block')).filter((name) => /^loop\d+$/.test(name));
  const loops = await Promise.all(
    names.map(async (name) => ({
      device: `/dev/${name}`,
      file: (await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '')).trim(),
    })),
  );
  // A file that is removed has " (deleted)" after its path.
  return loops.filter(({ file }) => file.startsWith(`${dir}/`));
}

async function processesOf(dir: string, mark: string): Promise<FoundProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const found = await Promise.all(
    pids.map(async (pid): Promise<FoundProcess | undefined> => {
      // A process may end while we look; a zombie has neither.
      const [command, environment] = await Promise.all(
        ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
      );
      const isOurs = environment?.split('\0').includes(`${mark}=${dir}`) === true || command?.includes(dir) === true;
      return isOurs ? { pid: Number(pid), command: (command ?? '').replaceAll('\0', ' ').trim() } : undefined;
    }),
  );
  return found.filter((each) => each !== undefined);
}
