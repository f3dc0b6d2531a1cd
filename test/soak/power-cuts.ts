import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../ground/random.js';
import type { Daemon, TestCluster } from '../harness/cluster.js';
import type { Weights } from './forest.js';
import { Forest } from './forest.js';
import { Gardener, type Notes } from './gardener.js';
import { atOnce, fell, leftovers, type TreesOptions } from './trees.js';

const downMs = 10_000;
const endsWithinMs = 20_000;
const workers = 8;
const mixed: Weights = {
  CreateVolume: 3,
  CreateSnapshot: 2,
  restore: 2,
  clone: 2,
  ControllerExpandVolume: 2,
  DeleteVolume: 2,
  DeleteSnapshot: 1,
  ListVolumes: 1,
  ListSnapshots: 1,
  'stage and unstage': 2,
};

export interface CutsOptions extends Omit<TreesOptions, 'kills' | 'objects'> {
  readonly cluster: TestCluster;
  readonly operations: number;
}

/** Mixed operations, several at once, while one daemon after the other is away for ten seconds. */
export async function cutPower(options: CutsOptions): Promise<Notes> {
  const { cluster, grounds, random, operations } = options;
  const forest = new Forest(grounds, options.depth);
  const gardener = new Gardener(options.seat, forest, random, options.directory, options.prefix);
  // The OSD's store is memory, which only an orderly end writes to disk.
  await cluster.ceph(['tell', 'osd.0', 'config', 'set', 'osd_fast_shutdown', 'false']);
  let cutting = true;
  const cuts = cutOneByOne(cluster, random).finally(() => {
    cutting = false;
  });
  cuts.catch(() => undefined);
  let begun = 0;
  await atOnce(async () => {
    while ((cutting || begun < operations) && gardener.notes.problems.length === 0) {
      const step = forest.choose(random, mixed);
      // Spread over all of the cuts.
      await sleep(step === undefined ? 5 : random.next() * 1_500);
      if (step === undefined || (step.on !== undefined && !forest.things.includes(step.on))) continue;
      if (step.on?.isHeld === true || (isAlone(step.operation) && (step.on?.users ?? 0) > 0)) continue;
      begun += 1;
      await gardener.carryOut(step);
    }
  }, workers);
  await cuts;
  await fell(forest, gardener, random);
  gardener.notes.problems.push(...(await leftovers(grounds)));
  return gardener.notes;
}

async function cutOneByOne(cluster: TestCluster, random: Random): Promise<void> {
  for (const daemon of ['osd', 'mds', 'mon'] as const) {
    await sleep(1_000 + random.next() * 2_000);
    console.log(`  ${daemon} stops`);
    const start = await stopDaemon(cluster, daemon);
    await sleep(downMs);
    start();
    console.log(`  ${daemon} starts again`);
  }
}

/** Ends a daemon of the tests' own cluster: the OSD in order, the others at once. @returns what starts it again. */
async function stopDaemon(cluster: TestCluster, daemon: Daemon): Promise<() => void> {
  const pid = await cluster.pidOf(daemon);
  const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').slice(0, -1);
  process.kill(pid, daemon === 'osd' ? 'SIGTERM' : 'SIGKILL');
  const end = Date.now() + endsWithinMs;
  while (isAlive(pid)) {
    if (Date.now() > end) throw new Error(`ceph-${daemon} does not end`);
    await sleep(50);
  }
  return () => {
    const [program = '', ...args] = argv;
    const env = Object.fromEntries(variables.map((one) => one.split(/=(.*)/s).slice(0, 2) as [string, string]));
    const child = spawn(program, args, { env, detached: true, stdio: 'ignore' });
    child.unref();
    // Without the thread pool, whose threads may all be waiting for this daemon.
    writeFileSync(join(dirname(cluster.confPath), 'run', `${daemon}.pid`), `${child.pid ?? ''}\n`);
  };
}

/** The cluster's own starter has ended: whoever has adopted the process reaps it sooner or later. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    return false;
  }
}

function isAlone(operation: string): boolean {
  return ['DeleteVolume', 'DeleteSnapshot', 'ControllerExpandVolume', 'stage and unstage'].includes(operation);
}
