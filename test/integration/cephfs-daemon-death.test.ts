import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { localDaemons } from '../../src/platform/daemons.js';
import { parseVolumeId } from '../../src/domain/volume-id.js';
import { mountCapability } from '../harness/requests.js';
import { clientsOf, Directories, evict } from './directories.js';
import { HealthRpc } from './health-rpc.js';
import { eventually } from './images.js';
import { mountEntry } from './leftovers.js';
import { outcomeOf } from './outcome.js';
import { Site } from './site.js';

/*
 * What serves a mount is gone: ceph-fuse was killed, or the MDS has evicted its client. The mount answers ENOTCONN, or
 * ENOENT and ESHUTDOWN, from then on, until the volume is staged anew.
 */
t.setTimeout(180_000);
t.jobs = 8;

const site = await Site.open(t);
const directories = await Directories.open(t, site);
const many = { capability: mountCapability('MULTI_NODE_MULTI_WRITER', '') };
const promptMs = 15_000;

const ends: Readonly<Record<string, (id: string) => Promise<void>>> = {
  'whose daemon was killed': async (id) => {
    const clients = await clientsOf(site.cluster, pathOf(id));
    await killDaemon(id);
    // The MDS keeps for a dead client what it had open, for a minute: that wait is not what is tested.
    await evict(site.cluster, clients);
  },
  'whose client was evicted': async (id) => {
    await evict(site.cluster, await clientsOf(site.cluster, pathOf(id)));
  },
};

async function killDaemon(id: string): Promise<void> {
  for (const pid of await daemonsOf(id)) process.kill(pid, 'SIGKILL');
  if (!(await eventually(async () => (await daemonsOf(id)).length === 0, 5_000))) throw new Error('it does not end');
}

function pathOf(id: string): string {
  const parsed = parseVolumeId(id);
  if (parsed?.backend !== 'cephfs') throw new Error(`${id} is no volume of CephFS`);
  return parsed.path;
}

async function daemonsOf(id: string): Promise<number[]> {
  return localDaemons.find('ceph-fuse', `fsname=${id},`);
}

async function timed<T>(t: Test, what: string, work: Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work;
  const tookMs = Math.round(performance.now() - startMs);
  t.ok(tookMs < promptMs, `${what} took ${tookMs} ms of ${promptMs}`);
  return result;
}

/** A volume that is published and has died, as its user sees it. */
async function dead(t: Test, end: (id: string) => Promise<void>, name: string) {
  const life = site.life(t);
  const id = await directories.make(name);
  const paths = await life.attach(id, many);
  await writeFile(join(paths.targetPath, 'data'), 'before', { flush: true });
  await end(id);
  const answers = async () =>
    readFile(join(paths.targetPath, 'data')).then(
      () => true,
      () => false,
    );
  t.ok(await eventually(async () => !(await answers()), 10_000), 'the mount is dead');
  return { life, id, ...paths };
}

for (const [what, end] of Object.entries(ends)) {
  const tag = what.split(' ').at(-1) ?? '';

  t.test(`stats of a volume ${what} are refused at once, and its health tells of it`, async (t) => {
    const { life, id, targetPath, stagingPath } = await dead(t, end, `stats-${tag}`);
    for (const path of [targetPath, stagingPath]) {
      const { code } = await timed(t, 'NodeGetVolumeStats', outcomeOf(life.rpc.stats(id, path)));
      // The root of an evicted client's mount answers ENOENT.
      t.equal(code, tag === 'killed' ? 'UNAVAILABLE' : 'NOT_FOUND');
    }
    const health = await timed(t, 'NodeGetVolumeHealth', new HealthRpc(() => site.driver).onNode(id));
    t.match(health, [{ status: 'INACCESSIBLE', reason: 'MountDead' }]);
    t.equal(health.length, 1);
  });

  t.test(`NodeStageVolume makes a volume ${what} work again, and says so in the log`, async (t) => {
    const { life, id, targetPath, stagingPath } = await dead(t, end, `stage-${tag}`);
    await timed(t, 'NodeStageVolume', life.rpc.stage(id, stagingPath, many));
    t.equal(await readFile(join(stagingPath, 'data'), 'utf8'), 'before');
    t.equal((await site.logged('the staged mount is dead')).length > 0, true);
    await timed(t, 'NodePublishVolume', life.rpc.publish(id, stagingPath, targetPath, many));
    await writeFile(join(targetPath, 'more'), 'after');
    t.equal(await directories.read(`${directories.top}/stage-${tag}/more`), 'after');
    t.ok(await eventually(async () => (await daemonsOf(id)).length === 1, 5_000), 'one daemon is left');
  });

  t.test(`NodePublishVolume makes a volume ${what} work again, at its own target and at another`, async (t) => {
    const { life, id, targetPath, stagingPath } = await dead(t, end, `publish-${tag}`);
    const other = await timed(t, 'NodePublishVolume', life.publish(id, stagingPath, many));
    t.equal(await readFile(join(other, 'data'), 'utf8'), 'before');
    await timed(t, 'NodePublishVolume', life.rpc.publish(id, stagingPath, targetPath, many));
    await writeFile(join(targetPath, 'more'), 'after');
    t.equal(await readFile(join(other, 'more'), 'utf8'), 'after');
  });

  t.test(`unpublish and unstage of a volume ${what} do not wait for it`, async (t) => {
    const { life, id, targetPath, stagingPath } = await dead(t, end, `gone-${tag}`);
    await timed(t, 'NodeUnpublishVolume', life.unpublish(id, targetPath));
    await timed(t, 'NodeUnstageVolume', life.unstage(id, stagingPath));
    t.equal(await mountEntry(stagingPath), undefined);
    t.ok(await eventually(async () => (await daemonsOf(id)).length === 0, 5_000), 'no daemon is left');
    const again = await timed(t, 'the next attach', life.attach(id, many));
    t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), 'before');
  });
}

t.test('a publish that can not make a dead volume work says why, and what to do', async (t) => {
  const { life, id, stagingPath } = await dead(t, killDaemon, 'refused');
  const secrets = { userID: 'it-nobody', userKey: site.cluster.adminKey };
  const request = life.rpc.publish(id, stagingPath, site.path('target'), { ...many, secrets });
  const { code, message } = await timed(t, 'NodePublishVolume', outcomeOf(request));
  t.equal(code, 'FAILED_PRECONDITION');
  t.match(message, /has died, and staging it anew failed: .*it-nobody.*repeat NodeStageVolume/);
});
