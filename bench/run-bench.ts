import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { useCluster } from '../test/harness/cluster.js';
import { clusterYaml, type Driver, startDriver } from '../test/harness/driver.js';
import { percentile } from './measure.js';
import { openRaw } from './raw-rbd.js';
import { benchController, benchFullPool } from './rbd-controller.js';
import { benchNode } from './rbd-node.js';
import { type Figure, met, renderTable } from './table.js';

const help = `npm run bench [-- --volumes N]
  One table of figures, each beside the bare library calls or programs measured in the same run.
  --volumes N   how full the pool is made for the flatness figure (default 2000)
  Exit code 0 also when an aim is missed: these are figures, not tests.`;

const idleSettleMs = 3_000;
const starts = 5;

const { values } = parseArgs({ options: { volumes: { type: 'string', default: '2000' }, help: { type: 'boolean' } } });
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
} else await bench(Number(values.volumes));

async function bench(volumes: number): Promise<void> {
  const startMs = performance.now();
  const progress = (text: string) => {
    console.log(`[${((performance.now() - startMs) / 1000).toFixed(0).padStart(4)} s] ${text}`);
  };
  const directory = await mkdtemp(join(tmpdir(), 'bench-'));
  progress('starting Ceph');
  const cluster = await useCluster();
  const pool = cluster.rbdPool;
  let driver: Driver | undefined;
  try {
    const config = clusterYaml(cluster);
    const readiness = await timesToReady(directory, config);
    driver = await startDriver({ directory: join(directory, 'driver'), config, logLevel: 'info' });
    const raw = await openRaw(cluster, pool);
    await sleep(idleSettleMs);
    const idleMb = await residentMb(driver.pid);
    const figures: Figure[] = [
      ...(await benchController(driver, raw, pool, progress)),
      ...(await benchFullPool(driver, raw, pool, volumes, progress)),
      ...(await benchNode(driver, cluster, pool, await made(join(directory, 'node')), progress)),
    ];
    await sleep(idleSettleMs);
    figures.push(
      { what: 'resident memory, idle, after start', ours: idleMb, unit: 'MB', aim: { of: 'value', most: 120 } },
      { what: 'resident memory, idle, after this bench', ours: await residentMb(driver.pid), unit: 'MB' },
      { what: 'time to ready p50', ours: percentile(readiness, 50), unit: 'ms', aim: { of: 'value', most: 1000 } },
    );
    await raw.close();
    await report(figures);
  } finally {
    await driver?.stop();
    await cluster.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function timesToReady(directory: string, config: string): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < starts; i++) {
    const driver = await startDriver({ directory: join(directory, `ready-${i}`), config });
    times.push(driver.readyMs);
    await driver.stop();
  }
  return times;
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+([0-9]+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
}

async function made(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  return directory;
}

async function report(figures: readonly Figure[]): Promise<void> {
  const table = renderTable(figures);
  const aims = figures.map(met).filter((result) => result !== undefined);
  console.log(`\n${table}\n\naims: ${aims.filter((one) => one).length} of ${aims.length} met`);
  await mkdir('.cache/results', { recursive: true });
  await writeFile('.cache/results/bench.txt', `${table}\n`);
}
