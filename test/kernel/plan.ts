import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Cell, nameOf } from '../sanity/cell.js';

/** What is done in the virtual machine from one start to the next. */
export interface Boot {
  /** A tap program below test/kernel, e.g. `suites/mappers`, or a run of csi-sanity. */
  readonly jobs: readonly string[];
  /** It ends as a node does whose power fails, and is not shut down. */
  readonly isReset: boolean;
}

/** The whole of csi-sanity, with what a node of a cluster has: the kernel's own clients. */
export const sanityCells: Readonly<Record<string, Cell>> = {
  'sanity-krbd-mount': { backend: 'rbd', accessType: 'mount', mounter: 'krbd', split: true },
  'sanity-krbd-block': { backend: 'rbd', accessType: 'block', mounter: 'krbd', split: false },
  'sanity-nbd-mount': { backend: 'rbd', accessType: 'mount', mounter: 'nbd', split: false },
  'sanity-cephfs-mount': { backend: 'cephfs', accessType: 'mount', mounter: 'kernel', split: false },
};

const beforeReset = 'reset/write';
const afterReset = 'reset/return';

/** Beside csi-sanity and the reset: with them they take as long as all the others. */
const secondLane = ['suites/mappers', 'suites/outage', 'suites/staging'];

/** Everything, in two parts that can be done at once and take about the same time. */
export async function planLanes(): Promise<Boot[][]> {
  const isSecond = (job: string): boolean => secondLane.includes(job) || !job.startsWith('suites/');
  const lanes = [(job: string) => !isSecond(job), isSecond].map(async (isOfLane) => {
    const boots = (await planBoots('')).map(({ jobs, isReset }) => ({ jobs: jobs.filter(isOfLane), isReset }));
    return boots.filter(({ jobs }) => jobs.length > 0);
  });
  return Promise.all(lanes);
}

/** @param wanted parts of the names of what is to run, with commas between them. @throws Error when nothing is called so. */
export async function planBoots(wanted: string): Promise<Boot[]> {
  const suites = (await readdir(join('test', 'kernel', 'suites'))).filter((name) => name.endsWith('.ts')).sort();
  const names = [...suites.map((name) => `suites/${basename(name, '.ts')}`), ...Object.keys(sanityCells)];
  const isWanted = (name: string): boolean => wanted.split(',').some((part) => name.includes(part));
  const jobs = names.filter(isWanted);
  const isResetWanted = isWanted(beforeReset) || isWanted(afterReset);
  const boots = [
    ...(jobs.length === 0 ? [] : [{ jobs, isReset: false }]),
    ...(isResetWanted
      ? [
          { jobs: [beforeReset], isReset: true },
          { jobs: [afterReset], isReset: false },
        ]
      : []),
  ];
  if (boots.length > 0) return boots;
  throw new Error(`no suite has "${wanted}" in its name; there are ${[...names, beforeReset, afterReset].join(', ')}`);
}

/** What a job is called in the table. */
export function titleOf(job: string): string {
  const cell = sanityCells[job];
  return `kernel: ${cell === undefined ? job.replace('suites/', '') : nameOf(cell)}`;
}
