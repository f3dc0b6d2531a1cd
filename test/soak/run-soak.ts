import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Row, writeRows } from '../../scripts/testing/results.js';
import { cephfsGround } from '../ground/cephfs-ground.js';
import type { Ground } from '../ground/ground.js';
import { Random } from '../ground/random.js';
import { rbdGround } from '../ground/rbd-ground.js';
import { startCluster, type TestCluster, useCluster } from '../harness/cluster.js';
import type { Notes } from './gardener.js';
import { cutPower } from './power-cuts.js';
import { Seat } from './seat.js';
import { growAndFell } from './trees.js';

const help = `npm run test:soak [-- --objects N --depth N --kills N --operations N --seed N --backends LIST]
  Against a real cluster: random trees of volumes, snapshots and what is made of them, deleted in random order, parents
  before children too; the same while the driver is killed with SIGKILL again and again (--kills 0 leaves that out); and
  mixed operations while OSD, MDS and monitor are away for ten seconds each (--operations 0 leaves that out). In the end
  pool and file system hold nothing, and every volume has held its data until it was deleted. The seed is printed;
  what is drawn follows from it, what happens at the same time does not.`;

/** Low enough that chains of the tested depth meet both. */
const depthLimits = '      cloneDepthSoftLimit: 2\n      cloneDepthHardLimit: 5\n';

const { values } = parseArgs({
  options: {
    objects: { type: 'string', default: '200' },
    depth: { type: 'string', default: '8' },
    kills: { type: 'string', default: '12' },
    operations: { type: 'string', default: '100' },
    seed: { type: 'string' },
    backends: { type: 'string', default: 'rbd,cephfs' },
    help: { type: 'boolean' },
  },
});

interface Site {
  readonly cluster: TestCluster;
  readonly grounds: readonly Ground[];
  readonly seat: Seat;
  readonly directory: string;
}

if (values.help === true) console.log(help);
else process.exitCode = await run(Number(values.seed ?? Math.floor(Math.random() * 2 ** 31)));

async function run(seed: number): Promise<number> {
  const [objects, depth, kills, operations] = [
    Number(values.objects),
    Number(values.depth),
    Number(values.kills),
    Number(values.operations),
  ];
  console.log(`soak test: ${objects} objects, depth ${depth}, ${kills} kills, ${operations} operations, seed ${seed}`);
  const rows: Row[] = [];
  const random = new Random(seed);
  const common = { random, depth };
  if (objects > 0) {
    const half = kills > 0 ? Math.ceil(objects / 2) : objects;
    await onSite(useCluster, `soak-${seed}`, rows, async (site) => {
      rows.push(
        await part('trees', async () => growAndFell({ ...site, ...common, prefix: 't', objects: half, kills: 0 })),
      );
      if (kills === 0 || failed(rows)) return;
      const trees = { ...site, ...common, prefix: 'k', objects: objects - half, kills };
      rows.push(await part('trees, kill -9', async () => growAndFell(trees)));
      console.log(`  ${site.seat.kills} kills`);
    });
  }
  if (operations > 0 && !failed(rows)) {
    await onSite(startCluster, `cuts-${seed}`, rows, async (site) => {
      rows.push(await part('power cuts', async () => cutPower({ ...site, ...common, prefix: 'c', operations })));
    });
  }
  await writeRows('soak', rows);
  return failed(rows) ? 1 : 0;
}

function failed(rows: readonly Row[]): boolean {
  return rows.some((row) => row.failed > 0);
}

/** The driver's log is kept when something has failed. */
async function onSite(
  start: () => Promise<TestCluster>,
  name: string,
  rows: readonly Row[],
  use: (site: Site) => Promise<void>,
): Promise<void> {
  const cluster = await start();
  const directory = await mkdtemp(join(tmpdir(), 'soak-'));
  const backends = values.backends.split(',');
  const grounds: Ground[] = [];
  if (backends.includes('rbd')) grounds.push(await rbdGround(cluster, name, depthLimits));
  if (backends.includes('cephfs')) grounds.push(await cephfsGround(cluster, name));
  const seat = await Seat.open(cluster, grounds, directory);
  try {
    await use({ cluster, grounds, seat, directory });
  } finally {
    await seat.stop();
    for (const ground of grounds) await ground.close();
    await cluster.stop();
  }
  if (failed(rows)) console.log(`  the driver's log is kept: ${join(directory, 'driver', 'driver.log')}`);
  else await rm(directory, { recursive: true, force: true });
}

async function part(stage: string, work: () => Promise<Notes>): Promise<Row> {
  const startMs = performance.now();
  const { problems, done, repeated, slowestMs } = await work();
  const seconds = (performance.now() - startMs) / 1000;
  for (const problem of problems) console.log(`  FAILED: ${problem}`);
  const counts = [...done].sort(([a], [b]) => (a < b ? -1 : 1)).map(([operation, count]) => `${operation} ${count}`);
  const total = [...done.values()].reduce((sum, count) => sum + count, 0);
  console.log(`${stage}: ${counts.join(', ')}`);
  console.log(
    `  ${repeated} answers to be repeated, slowest ${(slowestMs / 1000).toFixed(1)} s; problems: ${problems.length}; ${seconds.toFixed(0)} s`,
  );
  return { stage, passed: total, failed: problems.length, skipped: 0, seconds };
}
