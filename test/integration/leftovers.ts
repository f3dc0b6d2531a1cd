import { readdir, readFile } from 'node:fs/promises';

export interface Leftover {
  readonly kind: 'mount' | 'loop' | 'process';
  /** A mount point, a device, a process id. */
  readonly name: string;
}

/** Mounts below the directory, loop devices over files in it, and processes that name it in their arguments. */
export async function findLeftovers(directory: string): Promise<Leftover[]> {
  const [mounts, loops, pids] = await Promise.all([
    mountsBelow(directory),
    loopsOver(directory),
    processesOf(directory),
  ]);
  return [
    ...mounts.map((name): Leftover => ({ kind: 'mount', name })),
    ...loops.map((name): Leftover => ({ kind: 'loop', name })),
    ...pids.map((name): Leftover => ({ kind: 'process', name })),
  ];
}

export async function mountsBelow(directory: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.map((line) => line.split(' ')[4] ?? '').filter((path) => path.startsWith(`${directory}/`));
}

export async function loopsOver(directory: string): Promise<string[]> {
  const names = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
  const found = await Promise.all(
    names.map(async (name) => {
      const file = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '');
      return file.startsWith(`${directory}/`) ? [`/dev/${name}`] : [];
    }),
  );
  return found.flat();
}

async function processesOf(directory: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return line.includes(`${directory}/`) ? [pid] : [];
    }),
  );
  return found.flat();
}

/** What the mount table says of one mount point: the options of the mount and of the file system. */
export async function mountEntry(path: string): Promise<MountEntry | undefined> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const line = lines.findLast((each) => each.split(' ')[4] === path);
  if (line === undefined) return undefined;
  const [before = '', after = ''] = line.split(' - ');
  const [fsType = '', source = '', superOptions = ''] = after.split(' ');
  const [, , , root = '', , mountOptions = ''] = before.split(' ');
  return { options: [...mountOptions.split(','), ...superOptions.split(',')], fsType, source, root };
}

export interface MountEntry {
  readonly options: string[];
  readonly fsType: string;
  readonly source: string;
  /** What of its file system is mounted: a bound device node shows its path in devtmpfs. */
  readonly root: string;
}
