import { existsSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const top = '/sys/fs/cgroup';
const emptyWithinMs = 5_000;

export interface PodProcess {
  readonly pid: number;
  /** Program and arguments. */
  readonly command: readonly string[];
}

/** A control group for everything that kubelet runs, so that pods are found and ended whatever has become of their runtime. */
export interface ControlGroup {
  /** As kubelet's cgroupRoot names it. */
  readonly path: string;
  processes(): Promise<PodProcess[]>;
  /** Kills every process in it and removes it. */
  remove(): Promise<void>;
}

export async function makeControlGroup(name: string): Promise<ControlGroup> {
  const roots = (await hierarchies()).map((hierarchy) => join(hierarchy, name));
  for (const root of roots) await mkdir(root);
  return {
    path: `/${name}`,
    processes: async () => processesOf(roots),
    remove: async () => {
      await killAll(roots);
      for (const root of roots) await removeTree(root);
    },
  };
}

/** One with cgroup v2; with v1 one for each controller, whose second names (cpu,cpuacct) are links. */
async function hierarchies(): Promise<string[]> {
  if (existsSync(join(top, 'cgroup.controllers'))) return [top];
  const names = await readdir(top);
  const found = await Promise.all(
    names.map(async (name) => {
      const path = join(top, name);
      return (await lstat(path)).isDirectory() && existsSync(join(path, 'cgroup.procs')) ? [path] : [];
    }),
  );
  return found.flat();
}

async function processesOf(roots: readonly string[]): Promise<PodProcess[]> {
  const pids = [...new Set((await Promise.all(roots.map(pidsBelow))).flat())];
  return await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''); // it may have ended
      return { pid, command: text.split('\0').slice(0, -1) };
    }),
  );
}

async function killAll(roots: readonly string[]): Promise<void> {
  const end = performance.now() + emptyWithinMs;
  for (;;) {
    const pids = new Set((await Promise.all(roots.map(pidsBelow))).flat());
    if (pids.size === 0) return;
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    }
    if (performance.now() > end) throw new Error(`these processes do not end: ${[...pids].join(', ')}`);
    await sleep(50);
  }
}

async function pidsBelow(root: string): Promise<number[]> {
  const groups = await groupsBelow(root);
  const texts = await Promise.all(
    groups.map(async (group) => readFile(join(group, 'cgroup.procs'), 'utf8').catch(() => '')),
  );
  return texts
    .join('\n')
    .split('\n')
    .filter((line) => line !== '' && line !== '0')
    .map(Number);
}

async function groupsBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  const below = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map(async ({ name }) => groupsBelow(join(root, name))),
  );
  return existsSync(root) ? [root, ...below.flat()] : [];
}

/** Deepest first; the files in a control group can't be removed and go with it. */
async function removeTree(root: string): Promise<void> {
  for (const group of (await groupsBelow(root)).toReversed()) await rmdir(group).catch(() => undefined);
}
