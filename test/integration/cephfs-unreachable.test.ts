import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { localDaemons } from '../../src/platform/daemons.js';
import { type Daemon, startCluster } from '../harness/cluster.js';
import { stopProcess } from '../harness/stop-process.js';
import { mountCapability } from '../harness/requests.js';
import { Directories } from './directories.js';
import { HealthRpc } from './health-rpc.js';
import { eventually } from './images.js';
import { mountEntry } from './leftovers.js';
import { outcomeOf } from './outcome.js';
import { Site } from './site.js';

t.setTimeout(300_000);

// Daemons are stopped here: on a cluster of its own.
const cluster = await startCluster();
const site = await Site.open(t, { cluster });
const directories = await Directories.open(t, site);
const many = { capability: mountCapability('MULTI_NODE_MULTI_WRITER', '') };
/** kubelet gives NodeStageVolume 120 s. */
const patientMs = 60_000;

/** Stops a daemon while the work runs: it neither answers nor closes its connections, as a machine that hangs. */
async function whileStopped(daemon: Daemon, work: () => Promise<void>): Promise<void> {
  const pid = await cluster.pidOf(daemon);
  await stopProcess(pid);
  try {
    await work();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  // Until its next beacon the monitors hold the MDS for lost, and new mounts are refused.
  const isCountedOn = async () => !(await cluster.ceph(['mds', 'stat', '-f', 'json'])).includes('laggy_since');
  if (!(await eventually(isCountedOn, 30_000))) throw new Error('the monitors do not count on the MDS again');
}

async function daemonsOf(id: string): Promise<number[]> {
  return localDaemons.find('ceph-fuse', `fsname=${id},`);
}

async function within<T>(t: Test, what: string, limitMs: number, work: Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work;
  const tookMs = Math.round(performance.now() - startMs);
  t.ok(tookMs < limitMs, `${what} took ${tookMs} ms of ${limitMs}`);
  return result;
}

for (const [daemon, inMessage] of [
  ['mds', /file system "cephfs"/],
  ['mon', /monitors? at .*127\.0\.0\.1/],
] as const) {
  t.test(
    `NodeStageVolume while the ${daemon} is silent is UNAVAILABLE, leaves nothing, and works afterwards`,
    async (t) => {
      const id = await directories.make(`silent-${daemon}`);
      const path = site.path('stage');
      if (daemon === 'mon') await site.restart('SIGTERM');
      await whileStopped(daemon, async () => {
        const stage = outcomeOf(site.rpc.within(patientMs).stage(id, path, many));
        const { code, message } = await within(t, 'NodeStageVolume', patientMs - 5_000, stage);
        t.equal(code, 'UNAVAILABLE', message);
        t.match(message, inMessage);
        t.strictSame(await daemonsOf(id), [], 'no daemon is left');
        t.equal(await mountEntry(path), undefined);
      });
      const life = site.life(t);
      const worksAgain = async () => (await outcomeOf(life.stage(id, { ...many, path }))).code === 'OK';
      t.ok(await eventually(worksAgain, 60_000), 'it works when the daemon is back');
      await life.unstage(id, path);
    },
  );
}

t.test('a volume whose MDS is silent keeps its mount, is answered for in time, and goes on afterwards', async (t) => {
  const life = site.life(t);
  const id = await directories.make('patient');
  const { stagingPath, targetPath } = await life.attach(id, many);
  await writeFile(join(targetPath, 'data'), 'before', { flush: true });
  await whileStopped('mds', async () => {
    // What the client may answer by itself runs out with its capabilities' lease.
    const stats = outcomeOf(life.rpc.stats(id, targetPath));
    await within(t, 'NodeGetVolumeStats', 20_000, stats);
    const health = await within(t, 'NodeGetVolumeHealth', 20_000, new HealthRpc(() => site.driver).onNode(id));
    t.ok(
      health.every(({ reason }) => reason === 'MountHangs'),
      JSON.stringify(health),
    );
    const stage = outcomeOf(life.rpc.stage(id, stagingPath, many));
    const { code } = await within(t, 'NodeStageVolume', 20_000, stage);
    t.ok(['OK', 'UNAVAILABLE'].includes(code), code);
  });
  t.equal((await daemonsOf(id)).length, 1, 'the daemon is the same one');
  const reads = async () => (await readFile(join(targetPath, 'data'), 'utf8')) === 'before';
  t.ok(await eventually(reads, 60_000));
});

t.test('unpublish and unstage while the MDS is silent end in time, and the daemon ends by itself later', async (t) => {
  const life = site.life(t);
  const id = await directories.make('leaving');
  const paths = await life.attach(id, many);
  await writeFile(join(paths.targetPath, 'data'), 'unflushed');
  await whileStopped('mds', async () => {
    await within(t, 'NodeUnpublishVolume', 25_000, life.unpublish(id, paths.targetPath));
    await within(t, 'NodeUnstageVolume', 35_000, life.unstage(id, paths.stagingPath));
    t.equal(await mountEntry(paths.stagingPath), undefined);
    t.equal((await daemonsOf(id)).length, 1, 'one that may hold unwritten data is not killed');
    t.equal((await site.logged('ceph-fuse is still writing')).length, 1);
  });
  t.ok(await eventually(async () => (await daemonsOf(id)).length === 0, 60_000));
  t.equal(await directories.read(`${directories.top}/leaving/data`), 'unflushed');
});
