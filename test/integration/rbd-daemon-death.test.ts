import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { HealthRpc } from './health-rpc.js';
import { eventually } from './images.js';
import type { Volume } from './answers.js';
import { outcomeOf, refusal } from './outcome.js';
import { imageDaemons, Site } from './site.js';
import type { VolumeLife } from './volume-life.js';

/*
 * What carries the data dies: the machine's memory ran out, somebody killed it. The mount then answers EIO until the volume is
 * staged anew. Ceph keeps the dead client's lock for up to 30 s, so each test gets a volume of its own and they run together.
 */
t.setTimeout(150_000);
t.jobs = 8;

const site = await Site.open(t);
const create = { parameters: { pool: site.pool }, requiredBytes: 32n << 20n };
/** kubelet's own deadline for NodeStageVolume is 120 s. */
const kubeletMs = 110_000;
const promptMs = 20_000;

async function killDaemon(volume: Volume): Promise<void> {
  const image = volume.id.split(':').at(-1) ?? '';
  for (const pid of await imageDaemons(site.driver.runDir)) {
    const args = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    if (!args.includes(image)) continue;
    process.kill(pid, 'SIGKILL');
    const isGone = async (): Promise<boolean> => !(await imageDaemons(site.driver.runDir)).includes(pid);
    if (!(await eventually(isGone, 5_000))) throw new Error(`process ${pid} does not end`);
  }
}

async function attached(life: VolumeLife) {
  const volume = await life.create(create);
  const paths = await life.attach(volume.id);
  await writeSynced(join(paths.targetPath, 'data'), 'before');
  return { volume, ...paths };
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'w');
  await file.writeFile(text);
  await file.sync();
  await file.close();
}

async function timed<T>(t: Test, what: string, withinMs: number, work: Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work;
  const tookMs = Math.round(performance.now() - startMs);
  t.ok(tookMs < withinMs, `${what} took ${tookMs} ms of ${withinMs}`);
  return result;
}

t.test('a repeated NodeStageVolume makes a staged volume whose daemon was killed work again', async (t) => {
  const life = site.life(t);
  const volume = await life.create(create);
  const path = await life.stage(volume.id);
  await writeSynced(join(path, 'data'), 'before');
  await killDaemon(volume);
  await timed(t, 'NodeStageVolume', kubeletMs, life.rpc.within(kubeletMs).stage(volume.id, path));
  t.equal(await readFile(join(path, 'data'), 'utf8'), 'before');
  await writeSynced(join(path, 'data'), 'after');
  const target = await life.publish(volume.id, path);
  t.equal(await readFile(join(target, 'data'), 'utf8'), 'after');
});

t.test('unpublish and unstage of a volume whose daemon was killed do not wait for it', async (t) => {
  const life = site.life(t);
  const { volume, stagingPath, targetPath } = await attached(life);
  await writeFile(join(targetPath, 'dirty'), Buffer.alloc(1 << 20, 'not yet on disk'));
  await killDaemon(volume);
  await timed(t, 'NodeUnpublishVolume', promptMs, life.unpublish(volume.id, targetPath));
  await timed(t, 'NodeUnstageVolume', promptMs, life.unstage(volume.id, stagingPath));
  const again = await timed(t, 'the next attach', kubeletMs, life.attach(volume.id));
  t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), 'before', 'what was synced is there');
});

t.test('stats of a volume whose daemon was killed say so at once, and so does its health', async (t) => {
  const life = site.life(t);
  const { volume, targetPath } = await attached(life);
  await killDaemon(volume);
  // The kernel would answer statfs of ext4 from memory.
  const { code } = await timed(t, 'NodeGetVolumeStats', promptMs, outcomeOf(life.rpc.stats(volume.id, targetPath)));
  t.equal(code, 'UNAVAILABLE');
  const health = await timed(t, 'NodeGetVolumeHealth', promptMs, new HealthRpc(() => site.driver).onNode(volume.id));
  t.match(health, [{ status: 'INACCESSIBLE', reason: 'MountDead' }]);
  t.equal(health.length, 1);
});

t.test('NodePublishVolume makes a staged volume whose daemon was killed work again', async (t) => {
  const life = site.life(t);
  const volume = await life.create(create);
  const path = await life.stage(volume.id);
  await writeSynced(join(path, 'data'), 'before');
  await killDaemon(volume);
  const target = site.path('target');
  const patient = life.rpc.within(kubeletMs);
  await timed(t, 'NodePublishVolume', kubeletMs, patient.publish(volume.id, path, target));
  t.equal(await readFile(join(target, 'data'), 'utf8'), 'before');
  await writeSynced(join(target, 'data'), 'after');
  await life.unpublish(volume.id, target);
});

t.test(
  'NodePublishVolume of a dead volume that has another target says that it must be unpublished first',
  async (t) => {
    const life = site.life(t);
    const { volume, stagingPath, targetPath } = await attached(life);
    await killDaemon(volume);
    const use = { capability: mountCapability('SINGLE_NODE_MULTI_WRITER') };
    const request = life.rpc.publish(volume.id, stagingPath, site.path('target'), use);
    const outcome = await timed(t, 'NodePublishVolume', promptMs, refusal(request));
    t.equal(outcome.code, 'FAILED_PRECONDITION', outcome.message);
    t.match(outcome.message, `still published at ${targetPath}`);
  },
);

t.test('NodeStageVolume of a volume that is still published says that it must be unpublished first', async (t) => {
  const life = site.life(t);
  const { volume, stagingPath, targetPath } = await attached(life);
  await killDaemon(volume);
  const staging = await timed(t, 'NodeStageVolume', promptMs, refusal(life.rpc.stage(volume.id, stagingPath)));
  t.equal(staging.code, 'FAILED_PRECONDITION');
  await life.detach(volume.id, { stagingPath, targetPath });
  const again = await life.attach(volume.id);
  t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), 'before');
});

t.test('a block volume whose daemon was killed works again after unpublish, unstage, stage and publish', async (t) => {
  const life = site.life(t);
  const volume = await life.create(create);
  const use = { capability: blockCapability() };
  const paths = await life.attach(volume.id, use);
  await overwrite(paths.targetPath, 'block before');
  await killDaemon(volume);
  await timed(t, 'unpublish and unstage', promptMs, life.detach(volume.id, paths));
  const again = await timed(t, 'the next attach', kubeletMs, life.attach(volume.id, use));
  t.same((await readFile(again.targetPath)).subarray(0, 4096), Buffer.alloc(4096, 'block before'));
});

t.test('a volume whose daemon was killed can be taken away for good', async (t) => {
  const other = site.life(t);
  const { volume, stagingPath, targetPath } = await attached(other);
  await killDaemon(volume);
  await timed(t, 'unpublish and unstage', promptMs, other.detach(volume.id, { stagingPath, targetPath }));
  // Nothing of the dead daemon stands in the way of deleting it, once Ceph has forgotten the client.
  const deletion = await outcomeOf(other.rpc.delete(volume.id));
  t.ok(['OK', 'FAILED_PRECONDITION'].includes(deletion.code), deletion.message);
});

async function overwrite(device: string, text: string): Promise<void> {
  const file = await open(device, 'r+');
  await file.write(Buffer.alloc(4096, text), 0, 4096, 0);
  await file.sync();
  await file.close();
}
