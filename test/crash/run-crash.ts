import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type TestCluster, useCluster } from '../harness/cluster.js';
import { clusterYaml, type Driver, startDriver } from '../harness/driver.js';
import { cephfsGround } from '../ground/cephfs-ground.js';
import type { Ground } from '../ground/ground.js';
import { rbdGround } from '../ground/rbd-ground.js';
import { Random } from '../ground/random.js';
import { type Outcome, report } from './report.js';
import { VolumeLife } from './volume-life.js';

const help = `npm run test:crash [-- --kills N] [--seed N]
  Kills the driver with SIGKILL at random instants in the middle of RPCs against a real cluster, restarts it, repeats the
  same requests, and checks every answer, the data, the pool, the file system with what others have in it, the mount table,
  and the daemons. Half of the volumes are RBD images, half are CephFS directories. Nobody else may use the cluster
  meanwhile. The seed is printed; give it again to draw the same operations and instants.`;

const volumesOfEachKind = 2;
const shortestMs = 0.3;
const longestMs = 500;
/**
 * Now and then the driver is left alone for longer, so that it is killed while it purges. Early in a run: an image that was being
 * purged stays in use for 30 s, and the end waits for it.
 */
const purging = { share: 0.3, ms: 1_500, part: 0.25 };
const settledWithinMs = 3_000;
const purgedWithinMs = 90_000;

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '200' }, seed: { type: 'string' }, help: { type: 'boolean' } },
});

if (values.help === true) console.log(help);
else process.exitCode = await run(Number(values.kills), Number(values.seed ?? Math.floor(Math.random() * 2 ** 31)));

interface Run {
  readonly cluster: TestCluster;
  readonly grounds: readonly (readonly [Ground, readonly VolumeLife[]])[];
  readonly volumes: readonly VolumeLife[];
  readonly directory: string;
  readonly kills: number;
  readonly random: Random;
  readonly outcome: Outcome;
}

async function run(kills: number, seed: number): Promise<number> {
  const startMs = performance.now();
  console.log(`kill -9 test: ${kills} kills, seed ${seed}`);
  const cluster = await useCluster();
  // Ceph keeps a client that was killed for 30 s, and what it had open with it: shorter, so that more happens in the same time.
  await cluster.ceph(['config', 'set', 'osd', 'osd_client_watch_timeout', '10']);
  const setUp = await prepare(cluster, kills, seed);
  const { outcome } = setUp;
  let driver: Driver | undefined;
  try {
    driver = await start(setUp);
    while (outcome.kills < kills && outcome.problems.length === 0) {
      driver = await round(driver, setUp);
      outcome.kills += 1;
      outcome.problems.push(...(await check(setUp)).map((problem) => `after kill ${outcome.kills}: ${problem}`));
      if (outcome.kills % 20 === 0)
        console.log(`  ${outcome.kills} kills, ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
    }
  } catch (error) {
    outcome.problems.push(`after kill ${outcome.kills + 1}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const leaks = unwind(driver, setUp).catch((error: unknown) => [`clean-up failed: ${String(error)}`]);
  outcome.leaks.push(...(await leaks));
  await driver?.stop();
  for (const [ground] of setUp.grounds) await ground.close();
  await cluster.ceph(['config', 'rm', 'osd', 'osd_client_watch_timeout']);
  await cluster.stop();
  return report(outcome, (performance.now() - startMs) / 1000);
}

async function prepare(cluster: TestCluster, kills: number, seed: number): Promise<Run> {
  const directory = await mkdtemp(join(tmpdir(), 'crash-'));
  const group = `crash-${seed}`;
  const grounds = [await rbdGround(cluster, group), await cephfsGround(cluster, group)].map((ground, i) => {
    const names = Array.from({ length: volumesOfEachKind }, (_, j) => `crash-${seed}-${i}-${j}`);
    return [ground, names.map((name) => new VolumeLife(name, ground.kind, directory))] as const;
  });
  return {
    cluster,
    grounds,
    volumes: grounds.flatMap(([, volumes]) => volumes),
    directory,
    kills,
    random: new Random(seed),
    outcome: {
      kills: 0,
      problems: [],
      leaks: [],
      struck: new Map(),
      slowest: new Map(),
      directory,
      seed,
    },
  };
}

/** Every volume gets one request, all at once; somewhere in the middle the driver dies; a new one gets the same requests. */
async function round(driver: Driver, { volumes, random, outcome, kills, ...rest }: Run): Promise<Driver> {
  const { struck } = outcome;
  for (const one of volumes) {
    const operation = `${one.kind} ${one.choose(random)}`;
    struck.set(operation, (struck.get(operation) ?? 0) + 1);
  }
  const sent = volumes.map(async (one) => one.send(driver));
  const purges = random.next() < purging.share && outcome.kills < kills * purging.part;
  await sleep(random.logarithmic(shortestMs, longestMs) + (purges ? purging.ms : 0));
  await driver.stop('SIGKILL');
  await Promise.all(sent);
  const restarted = await start(rest);
  await Promise.all(
    volumes.map(async (one) => {
      const operation = one.pending ?? '';
      const startMs = performance.now();
      await one.repeat(restarted);
      const ms = performance.now() - startMs;
      if (ms > (outcome.slowest.get(one.kind)?.ms ?? 0)) outcome.slowest.set(one.kind, { operation, ms });
    }),
  );
  return restarted;
}

async function start({ directory, cluster, grounds }: Pick<Run, 'directory' | 'cluster' | 'grounds'>): Promise<Driver> {
  const config = clusterYaml(cluster, grounds.map(([ground]) => ground.config).join(''));
  return startDriver({ directory: join(directory, 'driver'), config });
}

/** The pool, the file system, the mount table and the processes hold exactly what the answers promised. */
async function check({ grounds }: Run): Promise<string[]> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map((line) => line.split(' ')[4]);
  const mountsAt = (path: string) => mounts.filter((mount) => mount === path).length;
  const problems: string[] = [];
  for (const [ground, volumes] of grounds) {
    const objects = await ground.objects();
    for (const one of volumes) {
      const isStaged = one.state === 'staged' || one.state === 'published';
      const what = `${one.kind} volume ${one.name} (${one.state})`;
      expect(problems, `${what} is there`, objects.has(one.object), one.state !== 'absent');
      expect(problems, `mounts of ${what} at its staging path`, mountsAt(one.stagingPath), isStaged ? 1 : 0);
      const copies = `copy of ${what} is there`;
      expect(problems, copies, objects.has(one.offspring.object), one.offspring.hasCopy);
      const isPublished = one.state === 'published';
      expect(problems, `mounts of ${what} at its target path`, mountsAt(one.targetPath), isPublished ? 1 : 0);
      if (ground.servers !== undefined) {
        const servers = await settled(ground.servers.bind(ground, one.id), isStaged ? 1 : 0);
        expect(problems, `daemons of ${what}`, servers, isStaged ? 1 : 0);
      }
    }
    problems.push(...(await ground.problems()));
  }
  return problems;
}

/** A daemon's parent process ends a moment after it has said that it serves. */
async function settled(count: () => Promise<number>, wanted: number): Promise<number> {
  const end = Date.now() + settledWithinMs;
  for (;;) {
    const found = await count();
    if (found === wanted || Date.now() > end) return found;
    await sleep(20);
  }
}

function expect<T>(problems: string[], what: string, found: T, wanted: T): void {
  if (found !== wanted) problems.push(`${what}: ${String(found)}, and it should be ${String(wanted)}`);
}

/** Deletes everything by the same RPCs; whatever is then left is a leak. */
async function unwind(driver: Driver | undefined, { volumes, grounds, directory }: Run): Promise<string[]> {
  if (driver === undefined) return [];
  await Promise.all(volumes.map(async (one) => one.unwind(driver)));
  const end = Date.now() + purgedWithinMs;
  let left: string[] = [];
  do {
    if (left.length > 0) await sleep(500);
    left = [];
    for (const [ground] of grounds) left.push(...(await ground.remains()));
  } while (left.length > 0 && Date.now() < end);
  for (const [ground, ours] of grounds) {
    left.push(...(await ground.problems()));
    for (const one of ours) if (((await ground.servers?.(one.id)) ?? 0) > 0) left.push(`a daemon of ${one.id}`);
  }
  const table = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return [...left, ...table.filter((line) => line.includes(`${directory}/`)).map((line) => `mount: ${line}`)];
}
