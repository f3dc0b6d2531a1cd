import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { RESULTS_DIR, type Row, writeRows } from '../../scripts/testing/results.js';
import { type TestCluster, useCluster } from '../harness/cluster.js';
import type { GuestOutcome, HostFacts } from './exchange.js';
import { freezeCluster, serveHost, thawCluster } from './host-control.js';
import { type Boot, planBoots, titleOf } from './plan.js';
import { listeningPorts } from './ports.js';
import { runGuest } from './run-guest.js';

/*
 * The kernel's own rbd, nbd and CephFS, in a virtual machine whose root is this machine's and whose kernel is Debian's: the host's
 * may have none of these modules. The guest runs the driver and its tests; the cluster stays outside.
 */

const consoleLog = join('.cache', 'logs', 'kernel-console.log');
const smokeMinutes = 4;
const wholeMinutes = 27;

const help = `npm run test:kernel -- [--smoke | --only NAME] [--minutes N]

  --smoke      stage, write, unstage, restage through krbd and the kernel's CephFS; under 5 minutes
  --only NAME  what has this in its name, e.g. krbd, sanity, or outage,reset
  --minutes N  how long the virtual machine may take (27; with --smoke 4)
`;
const { values } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    minutes: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (values.help === true) console.log(help);
else process.exitCode = await main(await planBoots(values.smoke ? '-smoke' : values.only));

async function main(boots: readonly Boot[]): Promise<number> {
  const endMs = Date.now() + Number(values.minutes ?? (values.smoke ? smokeMinutes : wholeMinutes)) * 60_000;
  const cluster = await useCluster();
  const exchange = await mkdtemp(join(tmpdir(), 'kernel-'));
  let reset = new AbortController();
  const host = await serveHost({
    freeze: async () => freezeCluster(cluster),
    thaw: async () => thawCluster(cluster),
    reset: async () => {
      reset.abort();
      return Promise.resolve();
    },
  });
  try {
    await rm(consoleLog, { force: true });
    await shareCluster(cluster, exchange, host.port);
    const rows: Row[] = [];
    let isWhole = true;
    for (const boot of boots) {
      reset = new AbortController();
      const timeoutMs = Math.max(1, endMs - Date.now());
      const end: BootEnd = isWhole
        ? await runBoot(boot, { exchange, reset: reset.signal, timeoutMs })
        : unrun(boot.jobs);
      rows.push(...end.rows);
      isWhole = end.isWhole;
    }
    await writeRows('kernel', rows);
    return rows.some((row) => row.failed > 0) ? 1 : 0;
  } finally {
    await host.close();
    // A daemon that is frozen would not stop.
    if (cluster.owned) await thawCluster(cluster).catch(() => undefined);
    await cp(join(exchange, 'output'), join(RESULTS_DIR, 'output'), { recursive: true }).catch(() => undefined);
    await rm(exchange, { recursive: true, force: true });
    await cluster.stop();
  }
}

interface BootSite {
  readonly exchange: string;
  readonly reset: AbortSignal;
  readonly timeoutMs: number;
}

interface BootEnd {
  /** One for each job: what the machine never came to has failed. */
  readonly rows: readonly Row[];
  readonly isWhole: boolean;
}

async function runBoot({ jobs, isReset }: Boot, { exchange, reset, timeoutMs }: BootSite): Promise<BootEnd> {
  await rm(join(exchange, 'outcome.json'), { force: true });
  const program = [join('dist', 'test', 'kernel', 'guest.js'), '--exchange', exchange, ...(isReset ? ['--reset'] : [])];
  const failure = await runGuest({
    vng: required('CUTTLE_VNG'),
    kernel: required('CUTTLE_KERNEL'),
    exchange,
    consoleLog,
    program: [...program, ...jobs],
    env: {
      UV_THREADPOOL_SIZE: '96',
      CUTTLE_CSI_SANITY: required('CUTTLE_CSI_SANITY'),
      CUTTLE_TEST_FILE_SECONDS: process.env.CUTTLE_TEST_FILE_SECONDS ?? '900',
      // Kubelet's own patience with a node is two minutes.
      CUTTLE_TEST_RPC_SECONDS: '120',
    },
    timeoutMs,
    reset,
  });
  const { rows } = await outcomeOf(exchange);
  const isWhole = rows.length === jobs.length && isReset === reset.aborted;
  if (isWhole) return { rows, isWhole };
  console.log(`  FAILED: the virtual machine ${failure ?? 'ended early'}; its console is in ${consoleLog}`);
  const rest = jobs.slice(rows.length);
  return { rows: [...rows, ...unrun(rest.length === 0 ? ['the virtual machine'] : rest).rows], isWhole };
}

function unrun(jobs: readonly string[]): BootEnd {
  const rows = jobs.map((job) => ({ stage: titleOf(job), passed: 0, failed: 1, skipped: 0, seconds: 0 }));
  return { rows, isWhole: false };
}

/** What the guest needs to reach the cluster and the host, under paths that it shares with this machine. */
async function shareCluster(cluster: TestCluster, exchange: string, controlPort: number): Promise<void> {
  const directory = dirname(cluster.confPath);
  const conf = await readFile(cluster.confPath, 'utf8');
  const keyring = /^keyring\s*=\s*(.*)$/m.exec(conf)?.[1]?.replace('$cluster.$name', 'ceph.client.admin') ?? '';
  await copyFile(keyring, join(exchange, basename(keyring)));
  await chmod(join(exchange, basename(keyring)), 0o600);
  await writeFile(join(exchange, 'ceph.conf'), conf.replaceAll(directory, exchange));
  await mkdir(join(exchange, 'run'));
  const clusterPorts = await listeningPorts(cluster);
  const facts: HostFacts = { clusterPorts, controlPort, ownsCluster: cluster.owned };
  await writeFile(join(exchange, 'host.json'), JSON.stringify(facts));
}

/** What the guest's tests have come to; empty when it never got so far. */
async function outcomeOf(exchange: string): Promise<GuestOutcome> {
  const text = await readFile(join(exchange, 'outcome.json'), 'utf8').catch(() => '{"rows":[]}');
  return JSON.parse(text) as GuestOutcome;
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set: run this by npm run test:kernel`);
  return value;
}
