import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Row } from '../../scripts/testing/results.js';
import { runTestFiles } from '../../scripts/testing/run-test-files.js';
import type { GuestOutcome } from './run-guest.js';

/** Runs inside the virtual machine: reaches the host's cluster, then runs the tests of the kernel's path. */

/** QEMU's user-mode network: the guest's usual address, and what the host's loopback is called from there. */
const ownAddress = '10.0.2.15/24';
const host = '10.0.2.2';
const fileTimeoutMs = 600_000;

const [exchange = '', suites = ''] = process.argv.slice(2);
// Without udev nobody makes the device nodes by which these modules would be loaded.
await execa('modprobe', ['-a', 'virtio_net', 'loop', 'fuse']);
const forwards = await forwardPorts();
process.env.CUTTLE_TEST_CEPH_CONF = join(exchange, 'ceph.conf');
try {
  await runSuites(suites);
} finally {
  for (const forward of forwards) forward.kill();
}

/** The daemons say that they listen on 127.0.0.1: so they do here too, by one relay for each port. */
async function forwardPorts(): Promise<ChildProcess[]> {
  await execa('ip', ['link', 'set', 'lo', 'up']);
  await execa('ip', ['link', 'set', 'eth0', 'up']);
  await execa('ip', ['address', 'add', ownAddress, 'dev', 'eth0']);
  const ports = JSON.parse(await readFile(join(exchange, 'ports.json'), 'utf8')) as number[];
  return ports.map((port) =>
    spawn('socat', [`TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr`, `TCP:${host}:${port}`], { stdio: 'ignore' }),
  );
}

/** What is known is written after each suite: the machine may be ended before the next. */
async function runSuites(wanted: string): Promise<void> {
  const directory = join('dist', 'test', 'kernel', 'suites');
  const all = (await readdir(directory)).filter((name) => name.endsWith('.js')).sort();
  const names = all.filter((name) => name.includes(wanted));
  const rows: Row[] = [];
  for (const name of names) {
    const source = join('test', 'kernel', 'suites', name.replace(/\.js$/, '.ts'));
    const file = { source, compiled: join(directory, name), needsCluster: true, ofDeploy: false };
    rows.push(
      await runTestFiles(`kernel: ${name.replace('.js', '')}`, [file], {
        jobs: 1,
        fileTimeoutMs,
        env: process.env,
        signal: new AbortController().signal,
      }),
    );
    await tell({ rows, isWhole: rows.length === names.length });
  }
}

async function tell(outcome: GuestOutcome): Promise<void> {
  await writeFile(join(exchange, 'outcome.json'), JSON.stringify(outcome));
}
