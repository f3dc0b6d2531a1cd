import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { RESULTS_DIR, type Row } from '../../scripts/testing/results.js';
import type { TestCluster } from '../harness/cluster.js';
import type { GuestOutcome, HostFacts } from './exchange.js';
import { freezeCluster, serveHost, thawCluster } from './host-control.js';
import { type Boot, titleOf } from './plan.js';
import { listeningPorts } from './ports.js';
import { runGuest } from './run-guest.js';

export interface LaneSite {
  /** Nobody else's: it is stopped and thawed. */
  readonly cluster: TestCluster;
  /** For what the machine says. */
  readonly consoleLog: string;
  /** Of the virtual machine. */
  readonly processors: number;
  /** When the last boot must be over, in ms since 1970. */
  readonly endMs: number;
}

/** One virtual machine after the other, on one cluster. @returns a row for each job: what no machine came to has failed. */
export async function runLane(
  boots: readonly Boot[],
  { cluster, consoleLog, processors, endMs }: LaneSite,
): Promise<Row[]> {
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
        ? await runBoot(boot, { exchange, consoleLog, processors, reset: reset.signal, timeoutMs })
        : unrun(boot.jobs);
      rows.push(...end.rows);
      isWhole = end.isWhole;
    }
    return rows;
  } finally {
    await host.close();
    // A daemon that is frozen would not stop.
    if (cluster.owned) await thawCluster(cluster).catch(() => undefined);
    await cp(join(exchange, 'output'), join(RESULTS_DIR, 'output'), { recursive: true }).catch(() => undefined);
    await rm(exchange, { recursive: true, force: true });
  }
}

interface BootSite {
  readonly exchange: string;
  readonly consoleLog: string;
  readonly processors: number;
  readonly reset: AbortSignal;
  readonly timeoutMs: number;
}

interface BootEnd {
  /** One for each job: what the machine never came to has failed. */
  readonly rows: readonly Row[];
  readonly isWhole: boolean;
}

async function runBoot(
  { jobs, isReset }: Boot,
  { exchange, consoleLog, processors, reset, timeoutMs }: BootSite,
): Promise<BootEnd> {
  await rm(join(exchange, 'outcome.json'), { force: true });
  const program = [join('dist', 'test', 'kernel', 'guest.js'), '--exchange', exchange, ...(isReset ? ['--reset'] : [])];
  const failure = await runGuest({
    vng: required('CUTTLE_VNG'),
    kernel: required('CUTTLE_KERNEL'),
    exchange,
    consoleLog,
    processors,
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
