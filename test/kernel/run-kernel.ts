import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Row, writeRows } from '../../scripts/testing/results.js';
import { type TestCluster, useCluster } from '../harness/cluster.js';
import { listeningPorts } from './ports.js';
import { type GuestOutcome, runGuest } from './run-guest.js';

/*
 * The kernel's own rbd, nbd and CephFS, in a virtual machine whose root is this machine's and whose kernel is Debian's: the host's
 * may have none of these modules. The guest runs the driver and its tests; the cluster stays outside.
 */

const consoleLog = join('.cache', 'logs', 'kernel-console.log');
const smokeTimeoutMs = 300_000;
const wholeTimeoutMs = 30 * 60_000;

const help = `npm run test:kernel -- [--smoke | --only NAME]

  --smoke      stage, write, unstage, restage through krbd and the kernel's CephFS; under 5 minutes
  --only NAME  the suites whose file names have this in them, e.g. krbd
`;
const { values } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    help: { type: 'boolean' },
  },
});
if (values.help === true) console.log(help);
else
  process.exitCode = await main(values.smoke ? '-smoke' : values.only, values.smoke ? smokeTimeoutMs : wholeTimeoutMs);

/** @param suites a part of the names of the suites to run. */
async function main(suites: string, timeoutMs: number): Promise<number> {
  const cluster = await useCluster();
  const exchange = await mkdtemp(join(tmpdir(), 'kernel-'));
  try {
    await shareCluster(cluster, exchange);
    const failure = await runGuest({
      vng: required('CUTTLE_VNG'),
      kernel: required('CUTTLE_KERNEL'),
      exchange,
      consoleLog,
      program: [join('dist', 'test', 'kernel', 'guest.js'), exchange, suites],
      timeoutMs,
    });
    const { rows, isWhole } = await outcomeOf(exchange);
    if (!isWhole) {
      console.log(`  FAILED: the virtual machine ${failure ?? 'ended early'}; its console is in ${consoleLog}`);
      rows.push({ stage: 'the virtual machine', passed: 0, failed: 1, skipped: 0, seconds: 0 });
    }
    await writeRows('kernel', rows);
    return rows.some((row) => row.failed > 0) ? 1 : 0;
  } finally {
    await rm(exchange, { recursive: true, force: true });
    await cluster.stop();
  }
}

/** What the guest needs to reach the cluster, under paths that it shares with this machine. */
async function shareCluster(cluster: TestCluster, exchange: string): Promise<void> {
  const directory = dirname(cluster.confPath);
  const conf = await readFile(cluster.confPath, 'utf8');
  const keyring = /^keyring\s*=\s*(.*)$/m.exec(conf)?.[1]?.replace('$cluster.$name', 'ceph.client.admin') ?? '';
  await copyFile(keyring, join(exchange, basename(keyring)));
  await chmod(join(exchange, basename(keyring)), 0o600);
  await writeFile(join(exchange, 'ceph.conf'), conf.replaceAll(directory, exchange));
  await mkdir(join(exchange, 'run'));
  await writeFile(join(exchange, 'ports.json'), JSON.stringify(await listeningPorts(cluster)));
}

/** What the guest's tests have come to; empty when it never got so far. */
async function outcomeOf(exchange: string): Promise<GuestOutcome & { rows: Row[] }> {
  const text = await readFile(join(exchange, 'outcome.json'), 'utf8').catch(() => '{"rows":[],"isWhole":false}');
  return JSON.parse(text) as GuestOutcome & { rows: Row[] };
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set: run this by npm run test:kernel`);
  return value;
}
