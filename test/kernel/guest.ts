import { type ChildProcess, spawn } from 'node:child_process';
import { cp, readdir, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { RESULTS_DIR, type Row } from '../../scripts/testing/results.js';
import { runTestFiles } from '../../scripts/testing/run-test-files.js';
import { askHost, type GuestOutcome, hostAddress, hostFacts, nameExchange } from './exchange.js';
import { sanityCells, titleOf } from './plan.js';
import { stillThere } from './still-there.js';

/** Runs inside the virtual machine: reaches the host's cluster, then runs the tests of the kernel's path. */

/** QEMU's user-mode network gives the guest this address. */
const ownAddress = '10.0.2.15/24';
const jobTimeoutMs = Number(process.env.CUTTLE_TEST_FILE_SECONDS ?? '900') * 1_000;

const { values, positionals: jobs } = parseArgs({
  options: { exchange: { type: 'string', default: '' }, reset: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const { exchange } = values;
nameExchange(exchange);
process.env.CUTTLE_TEST_CEPH_CONF = join(exchange, 'ceph.conf');
// Without udev nobody makes the device nodes by which these modules would be loaded.
await execa('modprobe', ['-a', 'virtio_net', 'loop', 'fuse']);
const forwards = await forwardPorts();
const rows: Row[] = [];
try {
  for (const job of jobs) {
    rows.push(await runJob(job));
    // What is known is written down at once: the machine may be ended before the next.
    await tell({ rows });
  }
} finally {
  if (values.reset) await askHost('reset');
  for (const forward of forwards) forward.kill();
}

/** The daemons say that they listen on 127.0.0.1: so they do here too, by one relay for each port. */
async function forwardPorts(): Promise<ChildProcess[]> {
  await execa('ip', ['link', 'set', 'lo', 'up']);
  await execa('ip', ['link', 'set', 'eth0', 'up']);
  await execa('ip', ['address', 'add', ownAddress, 'dev', 'eth0']);
  const { clusterPorts } = await hostFacts();
  const relay = (port: number) => [`TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr`, `TCP:${hostAddress}:${port}`];
  return clusterPorts.map((port) => spawn('socat', relay(port), { stdio: 'ignore' }));
}

async function runJob(job: string): Promise<Row> {
  const row = { ...(sanityCells[job] === undefined ? await runSuite(job) : await runSanity(job)), stage: titleOf(job) };
  await keepOutput(row.failed > 0);
  if (values.reset) return row;
  const left = await stillThere();
  for (const one of left) console.log(`  FAILED ${row.stage}: ${one}`);
  return { ...row, failed: row.failed + left.length };
}

async function runSuite(job: string): Promise<Row> {
  const name = join('test', 'kernel', job);
  const file = { source: `${name}.ts`, compiled: join('dist', `${name}.js`), needsCluster: true, ofDeploy: false };
  const signal = new AbortController().signal;
  return await runTestFiles(job, [file], { jobs: 1, fileTimeoutMs: jobTimeoutMs, env: process.env, signal });
}

async function runSanity(job: string): Promise<Row> {
  const cell = sanityCells[job];
  if (cell === undefined) throw new Error(`there is no csi-sanity run ${job}`);
  // Loaded when it is needed: in an emulated machine that takes seconds.
  const { useCluster } = await import('../harness/cluster.js');
  const { localCells } = await import('../sanity/local-drivers.js');
  const { removeSanityUsers, runCell } = await import('../sanity/sanity-cell.js');
  const cluster = await useCluster();
  try {
    const row = await runCell(cell, cluster, { ...localCells, timeoutMs: jobTimeoutMs });
    const word = row.failed > 0 ? 'FAILED' : 'ok    ';
    console.log(`  ${word} ${row.stage} (${row.passed} passed, ${row.skipped} skipped; ${row.seconds.toFixed(1)} s)`);
    return row;
  } finally {
    await removeSanityUsers(cluster);
  }
}

/** The machine's own files go with it: what tests have said, and the logs of drivers that failed csi-sanity, are for the host. */
async function keepOutput(hasFailed: boolean): Promise<void> {
  const kept = join(exchange, 'output');
  await cp(join(RESULTS_DIR, 'output'), kept, { recursive: true }).catch(() => undefined);
  if (!hasFailed) return;
  const isText = (path: string): boolean => !/\/(?:run|mount|staging|csi\.sock)$/.test(path);
  for (const name of (await readdir(tmpdir())).filter((one) => one.startsWith('sanity-')))
    await cp(join(tmpdir(), name), join(kept, name), { recursive: true, filter: isText });
}

/** Replaced in one step: the machine may be ended at any moment. */
async function tell(outcome: GuestOutcome): Promise<void> {
  await writeFile(join(exchange, 'outcome.new'), JSON.stringify(outcome));
  await rename(join(exchange, 'outcome.new'), join(exchange, 'outcome.json'));
}
