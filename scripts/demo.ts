import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster, type TestCluster } from '../test/harness/cluster.js';
import { clusterYaml, type Driver, startDriver } from '../test/harness/driver.js';
import { showCephfs } from './demo-cephfs.js';
import { showRbd } from './demo-rbd.js';
import { DemoSteps } from './demo-steps.js';
import { findLeftovers, removeLeftovers } from './testing/leftovers.js';
import { watchInterruption } from './testing/interruption.js';

const help = `npm run demo
  A real one-node Ceph on loopback, the driver, and the whole life of four volumes on this machine. RBD: ext4 whose data
  survives unstaging and growth, xfs that grows in use, a raw block device. CephFS: a directory with a quota, shared by
  two pods. Leaves nothing behind.`;

/** Marks every process of the demo, so that what is left can be told from anything else on the machine. */
const mark = 'CUTTLE_DEMO';

if (process.argv.includes('--help')) console.log(help);
else process.exitCode = await demo();

async function demo(): Promise<number> {
  const interruption = watchInterruption();
  const directory = await mkdtemp(join(tmpdir(), 'cuttle-demo-'));
  process.env[mark] = directory;
  const steps = new DemoSteps(interruption.signal);
  let cluster: TestCluster | undefined;
  let driver: Driver | undefined;
  try {
    cluster = await steps.run(
      'start Ceph: mon, mgr, osd, mds',
      async () => startCluster({ dir: join(directory, 'ceph'), stopOnSignal: false }),
      (one) => `fsid ${one.fsid.slice(0, 8)}`,
    );
    const config = clusterYaml(cluster);
    driver = await steps.run(
      'serve the driver (controller and node)',
      async () => startDriver({ directory: join(directory, 'driver'), config }),
      (one) => `ready in ${one.readyMs.toFixed(0)} ms`,
    );
    const context = { steps, cluster, driver, directory };
    await showRbd(context);
    await showCephfs(context);
  } catch (error) {
    steps.fail(error);
  }
  await steps.run('stop the driver', async () => driver?.stop(), undefined, 'always').catch(() => undefined);
  // Unmounting what a failure or Ctrl-C has left mounted writes to Ceph.
  if (steps.failure !== undefined) await removeLeftovers(directory, mark);
  await steps.run('stop Ceph', async () => cluster?.stop(), undefined, 'always').catch(() => undefined);
  return finish(steps, directory, interruption.exitCode());
}

/** The table, and the proof that nothing is left. */
async function finish(steps: DemoSteps, directory: string, interrupted: number | undefined): Promise<number> {
  const failed = steps.failure !== undefined;
  const left = await findLeftovers(directory, mark);
  if (failed && interrupted === undefined) await showLog(join(directory, 'driver', 'driver.log'));
  await removeLeftovers(directory, mark);
  await rm(directory, { recursive: true, force: true });
  console.log(`\n${steps.table()}`);
  for (const leftover of interrupted === undefined ? left : [])
    console.log(`left behind, and removed now: ${leftover.text}`);
  if (interrupted !== undefined) return interrupted;
  if (failed) console.log(`\nfailed: ${steps.failure}`);
  else if (left.length === 0)
    console.log('\nNothing is left mounted, mapped or running. Next: npm test, or docs/configuration.md');
  return failed || left.length > 0 ? 1 : 0;
}

async function showLog(path: string): Promise<void> {
  const lines = (await readFile(path, 'utf8').catch(() => '')).trim().split('\n').slice(-15);
  console.error(`--- the end of the driver's log\n${lines.join('\n')}\n---`);
}
