import { randomUUID } from 'node:crypto';
import t from 'tap';
import { converge } from '../ground/converge.js';
import { eventually, imageDigest, imageInfo, rados, trashOf } from './images.js';
import type { Volume } from './answers.js';
import { outcomeOf, refusal } from './outcome.js';
import { Rpc } from './rpc.js';
import { secondDriver, Site } from './site.js';
import type { VolumeLife } from './volume-life.js';

t.setTimeout(180_000);

const flattenObject = 'cuttle.flatten';
const secondsMs = 60_000;
const config = (confPath: string) =>
  `clusters:\n  - id: default\n    cephConf: ${confPath}\n    rbd:\n      cloneDepthSoftLimit: 1\n      cloneDepthHardLimit: 2\n`;

const site = await Site.open(t, { configFor: ({ confPath }) => config(confPath) });
const { cluster, pool } = site;
const smallBytes = 16n << 20n;
/** Flattening goes over every object, written or not: this takes seconds. */
const largeBytes = 1n << 40n;

function specOf(volume: Volume): string {
  return `${pool}/${volume.id.split(':').at(-1) ?? ''}`;
}

async function cloneOf(life: VolumeLife, volume: Volume): Promise<Volume> {
  return life.create({ parameters: { pool }, requiredBytes: volume.bytes, source: { volume: volume.id } });
}

/** A volume, a clone of it, and a clone of that. */
async function threeInARow(life: VolumeLife, requiredBytes: bigint): Promise<[Volume, Volume, Volume]> {
  const root = await life.create({ parameters: { pool }, requiredBytes });
  const first = await cloneOf(life, root);
  return [root, first, await cloneOf(life, first)];
}

async function isFlat(volume: Volume): Promise<boolean> {
  return !('parent' in (await imageInfo(cluster, specOf(volume))));
}

async function queued(): Promise<string[]> {
  const keys = await rados(cluster, pool, ['listomapkeys', flattenObject]).catch(() => '');
  return keys.split('\n').filter((key) => key !== '');
}

async function isUnderWay(): Promise<boolean> {
  return /"done":[1-9]/.test(await rados(cluster, pool, ['listomapvals', flattenObject]).catch(() => ''));
}

/** Nothing of any volume: no image, no trash, no object with data, nothing that waits. */
async function isEmpty(): Promise<boolean> {
  if ((await queued()).length > 0 || (await trashOf(cluster, pool)).length > 0) return false;
  return !/rbd_(data|header|id|object_map)\./.test(await rados(cluster, pool, ['ls']));
}

t.test('a clone beyond the soft limit is there at once, and flat soon after', async (t) => {
  const life = site.life(t);
  const root = await life.create({ parameters: { pool }, requiredBytes: smallBytes });
  await cluster.rbd(['bench', '--io-type', 'write', '--io-total', '2M', '--io-size', '64K', specOf(root)]);
  const first = await cloneOf(life, root);
  const second = await cloneOf(life, first);
  t.ok(await eventually(async () => isFlat(second), secondsMs));
  t.notOk(await isFlat(first), 'one within the limit stays a clone');
  t.ok(await eventually(async () => (await queued()).length === 0, secondsMs));
  t.equal(await imageDigest(cluster, specOf(second)), await imageDigest(cluster, specOf(root)));
  t.equal((await site.logged('flattened a clone')).length, 1);
});

t.test('a clone beyond the hard limit is made after its source has been flattened', async (t) => {
  const life = site.life(t);
  t.ok(await eventually(isEmpty, secondsMs), 'what was before is gone');
  const lock = ['--lock-cookie', 'another', '--lock-duration', '60'];
  await rados(cluster, pool, ['lock', 'get', flattenObject, flattenObject, ...lock]);
  const volumes = await threeInARow(life, smallBytes);
  const name = `pvc-${randomUUID()}`;
  const options = { parameters: { pool }, requiredBytes: smallBytes, source: { volume: volumes[2].id } };
  const { code, message } = await refusal(life.rpc.create(name, options));
  t.equal(code, 'ABORTED');
  t.match(message, /number 3 of a chain of clones, and rbd.cloneDepthHardLimit is 2/);
  t.match(message, volumes[2].id.split(':').at(-1), 'it says what is flattened');
  t.match(message, /waits for its turn/);
  const holder = JSON.parse(
    await rados(cluster, pool, ['lock', 'info', flattenObject, flattenObject, '--format', 'json']),
  ) as { lockers: [{ name: string }] };
  await rados(cluster, pool, [
    'lock',
    'break',
    flattenObject,
    flattenObject,
    holder.lockers[0].name,
    ...lock.slice(0, 2),
  ]);
  const isMade = async () => (await outcomeOf(life.create({ name, ...options }))).code === 'OK';
  t.ok(await eventually(isMade, secondsMs));
  t.ok(await isFlat(volumes[2]));
  const last = await life.create({ name, ...options });
  for (const volume of [...volumes, last]) await life.delete(volume.id);
  t.ok(await eventually(isEmpty, secondsMs), 'deleted parents first, all of it goes');
});

t.test('flattening goes on after a restart, and lets go of a volume that is deleted', async (t) => {
  const life = site.life(t);
  const [root, first, second] = await threeInARow(life, largeBytes);
  t.ok(await eventually(isUnderWay, secondsMs), 'it is under way');
  await site.restart('SIGTERM', async () => {
    t.notOk(await isUnderWay(), 'it has let go');
  });
  t.ok(await eventually(isUnderWay, secondsMs), 'and again');
  await life.rpc.expand(second.id, largeBytes + smallBytes);
  const deleting = async () => life.delete(second.id);
  await converge(deleting, { what: 'the deletion of what is being flattened', withinMs: 30_000 });
  t.notOk(
    (await site.logged('flattened a clone')).some((line) => line.includes(second.id)),
    'it was not waited for',
  );
  await life.delete(root.id);
  await life.delete(first.id);
  t.ok(await eventually(isEmpty, secondsMs));
});

t.test('a volume that another controller flattens is deleted as soon as that one lets go', async (t) => {
  const life = site.life(t);
  const [root, first, second] = await threeInARow(life, largeBytes);
  t.ok(await eventually(isUnderWay, secondsMs));
  // Started only now: either of two would take the work.
  const other = await secondDriver(t, site, { config: config(cluster.confPath) });
  const rpc = new Rpc(() => other);
  const { code, message } = await refusal(rpc.delete(second.id));
  t.equal(code, 'ABORTED');
  t.match(message, /is being flattened by the controller at 127\.0\.0\.1:0\/\d+, which has been asked to stop/);
  const isDeleted = async () => (await outcomeOf(rpc.delete(second.id))).code === 'OK';
  t.ok(await eventually(isDeleted, 10_000));
  for (const { id } of [root, first]) await rpc.delete(id);
  t.ok(await eventually(isEmpty, secondsMs));
});
