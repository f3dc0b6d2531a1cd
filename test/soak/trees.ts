import { setTimeout as sleep } from 'node:timers/promises';
import type { Ground } from '../ground/ground.js';
import type { Random } from '../ground/random.js';
import { Forest, type Operation, type Weights } from './forest.js';
import { Gardener, type Notes } from './gardener.js';
import { killNowAndThen, type Seat } from './seat.js';

/** Several snapshots of RBD share one round of the monitors. */
const workers = 16;
const emptyWithinMs = 100_000;

const growing: Weights = {
  CreateVolume: 1,
  CreateSnapshot: 3,
  restore: 3,
  clone: 4,
  DeleteVolume: 1.5,
  DeleteSnapshot: 1,
  ListSnapshots: 0.2,
  ListVolumes: 0.2,
};
const making: readonly Operation[] = ['CreateVolume', 'CreateSnapshot', 'restore', 'clone'];

export interface TreesOptions {
  readonly seat: Seat;
  readonly grounds: readonly Ground[];
  readonly random: Random;
  readonly directory: string;
  readonly prefix: string;
  /** Volumes and snapshots in all. */
  readonly objects: number;
  readonly depth: number;
  /** Of the driver, while trees grow and while they are felled. */
  readonly kills: number;
}

/** Random trees of volumes, snapshots and clones, deleted in random order; every volume's data is looked at before it goes. */
export async function growAndFell(options: TreesOptions): Promise<Notes> {
  const { seat, grounds, random, kills } = options;
  const forest = new Forest(grounds, options.depth);
  const gardener = new Gardener(seat, forest, random, options.directory, options.prefix);
  const killing = new AbortController();
  const before = seat.kills;
  const killer = killNowAndThen(seat, random, before + kills, killing.signal);
  await grow(forest, gardener, random, options.objects);
  await fell(forest, gardener, random);
  killing.abort();
  await killer;
  gardener.notes.problems.push(...(await leftovers(grounds)));
  return gardener.notes;
}

async function grow(forest: Forest, gardener: Gardener, random: Random, objects: number): Promise<void> {
  let made = 0;
  await atOnce(async () => {
    while (made < objects && gardener.notes.problems.length === 0) {
      const step = forest.choose(random, growing);
      if (step === undefined) {
        await sleep(5);
        continue;
      }
      if (making.includes(step.operation)) made += 1;
      await gardener.carryOut(step);
    }
  });
}

/** Everything goes, in any order: parents before children, snapshots before what was made of them. */
export async function fell(forest: Forest, gardener: Gardener, random: Random): Promise<void> {
  await atOnce(async () => {
    for (;;) {
      const { things } = forest;
      if (things.length === 0) return;
      const on = random.pick(things);
      const operation = on.kind === 'volume' ? 'DeleteVolume' : 'DeleteSnapshot';
      await gardener.carryOut({ operation, ground: on.ground, on });
    }
  });
}

/** What the grounds hold when the driver has had time to free it; [] is what should be. */
export async function leftovers(grounds: readonly Ground[]): Promise<string[]> {
  const end = Date.now() + emptyWithinMs;
  for (;;) {
    const left = (await Promise.all(grounds.map(async (ground) => ground.remains()))).flat();
    if (left.length === 0 || Date.now() > end) {
      const problems = (await Promise.all(grounds.map(async (ground) => ground.problems()))).flat();
      return [...left.map((one) => `left behind: ${one}`), ...problems];
    }
    await sleep(500);
  }
}

export async function atOnce(work: () => Promise<void>, count = workers): Promise<void> {
  await Promise.all(Array.from({ length: count }, work));
}
