import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { type TestCluster, useCluster } from '../test/harness/cluster.js';
import { clusterYaml, type Driver, startDriver } from '../test/harness/driver.js';
import { benchDeleteFull, cephfsSubject } from './cephfs-controller.js';
import { cephfsByHand, cephfsNodeFigures } from './cephfs-node.js';
import { benchController, benchMany } from './controller.js';
import { benchSnapshotList } from './lists.js';
import { percentile } from './measure.js';
import { runNode } from './node.js';
import { openRawCephfs } from './raw-cephfs.js';
import { openRawRbd } from './raw-rbd.js';
import { rbdByHand, rbdNodeFigures } from './rbd-node.js';
import { rbdSubject } from './rbd-subject.js';
import { benchSnapshots } from './snapshots.js';
import type { Progress } from './subject.js';
import { type Figure, met, renderTable } from './table.js';

const help = `npm run bench [-- --volumes N] [--backends rbd,cephfs]
  One table of figures, each beside the bare library calls or programs measured in the same run.
  --volumes N       how many volumes and snapshots there are for the flatness figures (default 5000)
  --backends LIST   what is measured (default rbd,cephfs)
  Exit code 0 also when an aim is missed: these are figures, not tests.`;

const idleSettleMs = 3_000;
const starts = 5;
const fsName = 'cephfs';

const { values } = parseArgs({
  options: {
    volumes: { type: 'string', default: '5000' },
    backends: { type: 'string', default: 'rbd,cephfs' },
    help: { type: 'boolean' },
  },
});
if (values.help === true) console.log(help);
// The raw calls run in libuv's pool, whose size is fixed before its first use.
else if (process.env.UV_THREADPOOL_SIZE === undefined) {
  const self = process.argv.slice(1);
  const run = await execa(process.execPath, self, {
    env: { UV_THREADPOOL_SIZE: '32' },
    stdio: 'inherit',
    reject: false,
  });
  process.exitCode = run.exitCode ?? 1;
} else await bench(Number(values.volumes), values.backends.split(','));

/** What one backend's part needs. Each has a driver of its own, whose lists and trash hold its own volumes alone. */
interface Part {
  readonly cluster: TestCluster;
  readonly driver: Driver;
  /** The driver's directory of CephFS volumes: nobody else's. */
  readonly group: string;
  readonly volumes: number;
  readonly directory: string;
  readonly progress: Progress;
}

async function bench(volumes: number, backends: readonly string[]): Promise<void> {
  const startMs = performance.now();
  const progress = (text: string) => {
    console.log(`[${((performance.now() - startMs) / 1000).toFixed(0).padStart(4)} s] ${text}`);
  };
  const directory = await mkdtemp(join(tmpdir(), 'bench-'));
  progress('starting Ceph');
  const cluster = await useCluster({ quickMonitor: false });
  try {
    const group = `bench-${process.pid}`;
    const config = clusterYaml(cluster, `    cephfs:\n      group: ${group}\n`);
    const figures = await benchProcess(directory, config);
    for (const [name, part] of Object.entries({ rbd: benchRbd, cephfs: benchCephfs })) {
      if (!backends.includes(name)) continue;
      const own = join(directory, name);
      await mkdir(join(own, 'node'), { recursive: true });
      const args = ['--backends', name];
      const driver = await startDriver({ directory: join(own, 'driver'), config, logLevel: 'info', args });
      try {
        const shared = { cluster, driver, group: `/volumes/${group}`, volumes, progress };
        figures.push(...(await part({ ...shared, directory: join(own, 'node') })));
        await sleep(idleSettleMs);
        figures.push({
          what: `${name}: resident memory, idle, after this`,
          ours: await residentMb(driver),
          unit: 'MB',
        });
      } finally {
        await driver.stop();
      }
    }
    await report(figures);
  } finally {
    await cluster.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function benchRbd({ cluster, driver, volumes, directory, progress }: Part): Promise<Figure[]> {
  const pool = cluster.rbdPool;
  const raw = await openRawRbd(cluster, pool);
  const subject = rbdSubject(pool, raw);
  const figures = [
    ...(await benchController(driver, subject, progress)),
    ...(await benchMany(driver, subject, volumes, progress)),
    ...(await benchSnapshots(driver, subject, progress)),
    ...(await benchSnapshotList(cluster, driver, subject, volumes, progress)),
    ...rbdNodeFigures(await runNode(driver, subject, directory, progress), await rbdByHand(cluster, pool, directory)),
  ];
  await raw.close();
  return figures;
}

async function benchCephfs({ cluster, driver, group, volumes, directory, progress }: Part): Promise<Figure[]> {
  const raw = await openRawCephfs(cluster, fsName, group);
  const subject = cephfsSubject(raw);
  const figures = [
    ...(await benchController(driver, subject, progress)),
    ...(await benchMany(driver, subject, volumes, progress)),
    ...(await benchSnapshots(driver, subject, progress)),
    // The MDS is busy with the removed files for some time, which taking the snapshots lasts as well.
    await benchDeleteFull(driver, subject, raw, progress),
    ...(await benchSnapshotList(cluster, driver, subject, volumes, progress)),
    ...cephfsNodeFigures(
      await runNode(driver, subject, directory, progress),
      await cephfsByHand(cluster, raw, directory),
    ),
  ];
  await raw.close();
  return figures;
}

async function benchProcess(directory: string, config: string): Promise<Figure[]> {
  const times: number[] = [];
  for (let i = 0; i < starts; i++) {
    const driver = await startDriver({ directory: join(directory, `ready-${i}`), config });
    times.push(driver.readyMs);
    await driver.stop();
  }
  const driver = await startDriver({ directory: join(directory, 'idle'), config, logLevel: 'info' });
  await sleep(idleSettleMs);
  const idleMb = await residentMb(driver);
  await driver.stop();
  return [
    { what: 'resident memory, idle, after start', ours: idleMb, unit: 'MB', aim: { of: 'value', most: 120 } },
    { what: 'time to ready p50', ours: percentile(times, 50), unit: 'ms', aim: { of: 'value', most: 1000 } },
  ];
}

async function residentMb({ pid }: Driver): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+([0-9]+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
}

async function report(figures: readonly Figure[]): Promise<void> {
  const table = renderTable(figures);
  const aims = figures.map(met).filter((result) => result !== undefined);
  console.log(`\n${table}\n\naims: ${aims.filter((one) => one).length} of ${aims.length} met`);
  await mkdir('.cache/results', { recursive: true });
  await writeFile('.cache/results/bench.txt', `${table}\n`);
}
