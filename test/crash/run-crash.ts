import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { writeRows } from '../../scripts/testing/results.js';
import { defaultVolumeNamePrefix, objectNameFor } from '../../src/backend/object-name.js';
import { formatVolumeId } from '../../src/domain/volume-id.js';
import { type TestCluster, useCluster } from '../harness/cluster.js';
import { clusterYaml, type Driver, startDriver } from '../harness/driver.js';
import { Random } from './random.js';
import { VolumeLife } from './volume-life.js';

const help = `npm run test:crash [-- --kills N] [--seed N]
  Kills the driver with SIGKILL at random instants in the middle of RPCs against a real cluster, restarts it, repeats the
  same requests, and checks every answer, the data, the pool, and the mount table. The seed is printed; give it again to
  draw the same operations and instants.`;

const volumeCount = 4;
const shortestMs = 0.3;
const longestMs = 500;
const purgeMs = 60_000;

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '200' }, seed: { type: 'string' }, help: { type: 'boolean' } },
});

if (values.help === true) console.log(help);
else process.exitCode = await run(Number(values.kills), Number(values.seed ?? Math.floor(Math.random() * 2 ** 31)));

async function run(kills: number, seed: number): Promise<number> {
  const startMs = performance.now();
  console.log(`kill -9 test: ${kills} kills, seed ${seed}`);
  const random = new Random(seed);
  const cluster = await useCluster();
  const directory = await mkdtemp(join(tmpdir(), 'crash-'));
  const volumes = Array.from({ length: volumeCount }, (_, i) => volume(`crash-${seed}-${i}`, cluster, directory));
  const problems: string[] = [];
  const struck = new Map<string, number>();
  let done = 0;
  let driver: Driver | undefined;
  try {
    driver = await start(directory, cluster);
    for (; done < kills && problems.length === 0; done++) {
      driver = await round(driver, { volumes, random, cluster, directory, struck });
      problems.push(...(await check(cluster, volumes)).map((problem) => `after kill ${done + 1}: ${problem}`));
      if ((done + 1) % 20 === 0)
        console.log(`  ${done + 1} kills, ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
    }
  } catch (error) {
    problems.push(`after kill ${done + 1}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const leaks = await unwind(driver, volumes, cluster, directory).catch((error: unknown) => [
    `clean-up failed: ${String(error)}`,
  ]);
  await driver?.stop();
  await cluster.stop();
  return report({
    kills: done,
    problems,
    leaks,
    struck,
    seconds: (performance.now() - startMs) / 1000,
    directory,
    seed,
  });
}

interface RoundContext {
  readonly volumes: readonly VolumeLife[];
  readonly random: Random;
  readonly cluster: TestCluster;
  readonly directory: string;
  readonly struck: Map<string, number>;
}

/** Every volume gets one request, all at once; somewhere in the middle the driver dies; a new one gets the same requests. */
async function round(driver: Driver, { volumes, random, cluster, directory, struck }: RoundContext): Promise<Driver> {
  for (const one of volumes) {
    const operation = one.choose(random);
    struck.set(operation, (struck.get(operation) ?? 0) + 1);
  }
  const sent = volumes.map(async (one) => one.send(driver));
  await sleep(random.logarithmic(shortestMs, longestMs));
  await driver.stop('SIGKILL');
  await Promise.all(sent);
  const restarted = await start(directory, cluster);
  await Promise.all(volumes.map(async (one) => one.repeat(restarted)));
  return restarted;
}

async function start(directory: string, cluster: TestCluster): Promise<Driver> {
  return startDriver({ directory: join(directory, 'driver'), config: clusterYaml(cluster) });
}

function volume(name: string, cluster: TestCluster, directory: string): VolumeLife {
  const image = objectNameFor(name, defaultVolumeNamePrefix);
  const id = formatVolumeId({ backend: 'rbd', clusterId: 'default', pool: cluster.rbdPool, namespace: '', image });
  return new VolumeLife(name, id, cluster.rbdPool, directory);
}

/** The pool and the mount table hold exactly what the answers promised. */
async function check(cluster: TestCluster, volumes: readonly VolumeLife[]): Promise<string[]> {
  const images = new Set((await cluster.rbd(['ls', cluster.rbdPool])).split('\n'));
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map((line) => line.split(' ')[4]);
  const problems: string[] = [];
  for (const one of volumes) {
    const image = one.id.split(':').at(-1) ?? '';
    const layers = (path: string) => mounts.filter((mount) => mount === path).length;
    expect(problems, `image of ${one.name} (${one.state})`, images.has(image), one.state !== 'absent');
    expect(
      problems,
      `${one.name} (${one.state}) is mounted at its staging path`,
      layers(one.stagingPath) > 0,
      one.state === 'staged' || one.state === 'published',
    );
    expect(
      problems,
      `${one.name} (${one.state}) is mounted at its target path`,
      layers(one.targetPath) > 0,
      one.state === 'published',
    );
  }
  return problems;
}

function expect(problems: string[], what: string, found: boolean, wanted: boolean): void {
  if (found !== wanted) problems.push(`${what}: ${String(found)}, and it should be ${String(wanted)}`);
}

/** Deletes everything by the same RPCs; whatever is then left is a leak. */
async function unwind(
  driver: Driver | undefined,
  volumes: readonly VolumeLife[],
  cluster: TestCluster,
  directory: string,
): Promise<string[]> {
  if (driver === undefined) return [];
  await Promise.all(volumes.map(async (one) => one.unwind(driver)));
  const images = async () => {
    const names = [
      await cluster.rbd(['ls', cluster.rbdPool]),
      await cluster.rbd(['trash', 'ls', '--all', cluster.rbdPool]),
    ]
      .join('\n')
      .split('\n');
    return names.filter((line) => volumes.some((one) => line.includes(one.id.split(':').at(-1) ?? '')));
  };
  const end = Date.now() + purgeMs;
  let left = await images();
  while (left.length > 0 && Date.now() < end) {
    await sleep(500);
    left = await images();
  }
  const table = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .filter((line) => line.includes(`${directory}/`));
  return [...left.map((line) => `image in the pool: ${line}`), ...table.map((line) => `mount: ${line}`)];
}

interface Outcome {
  readonly kills: number;
  readonly problems: readonly string[];
  readonly leaks: readonly string[];
  readonly struck: ReadonlyMap<string, number>;
  readonly seconds: number;
  readonly directory: string;
  readonly seed: number;
}

async function report({ kills, problems, leaks, struck, seconds, directory, seed }: Outcome): Promise<number> {
  for (const problem of problems) console.log(`  FAILED: ${problem}`);
  for (const leak of leaks) console.log(`  LEAKED: ${leak}`);
  console.log(
    `struck in the middle of: ${[...struck].map(([operation, count]) => `${operation} ${count}`).join(', ')}`,
  );
  console.log(
    `kills: ${kills}, wrong answers: ${problems.length}, leaks: ${leaks.length}, seed ${seed}, ${seconds.toFixed(0)} s`,
  );
  const failed = problems.length + leaks.length;
  await writeRows('crash', [
    {
      stage: 'kill -9',
      passed: failed === 0 ? kills : Math.max(0, kills - problems.length),
      failed,
      skipped: 0,
      seconds,
    },
  ]);
  if (failed === 0) await rm(directory, { recursive: true, force: true });
  else console.log(`  the driver's log is kept: ${join(directory, 'driver', 'driver.log')}`);
  return failed === 0 ? 0 : 1;
}
