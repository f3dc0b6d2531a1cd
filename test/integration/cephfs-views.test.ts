import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { localDaemons } from '../../src/platform/daemons.js';
import { mountCapability } from '../harness/requests.js';
import { clientsOf, evict } from './directories.js';
import { asDirectory, asShared, openGroup, pathOf, provisionerCaps } from './group.js';
import type { Volume } from './answers.js';
import { outcomeOf, refusal } from './outcome.js';
import type { VolumeLife } from './volume-life.js';

t.setTimeout(180_000);

const { site, group } = await openGroup(t, { args: ['--backends', 'cephfs'] });
const readers = mountCapability('MULTI_NODE_READER_ONLY', '');
const asReader = { capability: readers };

async function write(id: string, text: string): Promise<void> {
  await group.directories.write(`${pathOf(id)}/data`, text);
}

/** @param secrets the user that mounts it, the driver's own when left out */
async function contentOf(life: VolumeLife, id: string, secrets = {}): Promise<string> {
  const paths = await life.attach(id, { ...asReader, secrets });
  const text = await readFile(join(paths.targetPath, 'data'), 'utf8');
  await life.detach(id, paths);
  return text;
}

/** A volume, a snapshot of it, and how a volume that shows that is asked for. */
async function snapped(t: Test, text = 'then') {
  const life = site.life(t);
  const source = await life.create(asDirectory);
  await write(source.id, text);
  const snapshot = await life.snapshot(source.id);
  const asked = { ...asDirectory, capabilities: [readers], source: { snapshot: snapshot.id } };
  const create = async (options = {}): Promise<Volume> => life.create({ ...asked, ...options });
  return { life, source, snapshot, asked, create };
}

async function hidden(name: string): Promise<string[]> {
  return readdir(group.onHost(`${group.path}/.cuttle/${name}`)).catch(() => []);
}

async function nothingIsLeft(t: Test): Promise<void> {
  t.same([await group.names(), await hidden('snapshots'), await hidden('deleted')], [[], [], []]);
  t.ok(await group.isPurged());
}

t.test('a snapshot for readers is shown, not copied, and can only be read', async (t) => {
  const { life, source, create } = await snapped(t);
  const name = `pvc-${randomUUID()}`;
  const view = await create({ name });
  t.match(view.id, /:view$/);
  t.same(await create({ name }), view, 'the repeated request gives the same volume');
  t.equal(view.bytes, source.bytes);
  t.same(await readdir(group.onHost(pathOf(view.id))), [], 'nothing is copied');
  t.ok((await life.rpc.list()).ids.includes(view.id));
  t.ok((await life.rpc.validate(view.id, [readers])).confirmed);
  t.notOk((await life.rpc.validate(view.id, [asShared.capability])).confirmed);
  await write(source.id, 'now');
  const { stagingPath, targetPath } = await life.attach(view.id, asReader);
  t.equal(await readFile(join(targetPath, 'data'), 'utf8'), 'then');
  t.same(await readdir(targetPath), ['data']);
  await t.rejects(writeFile(join(targetPath, 'new'), ''), { code: 'EROFS' });
  const [bytes] = await life.rpc.stats(view.id, targetPath);
  t.equal(bytes?.total, source.bytes);
  await life.rpc.stage(view.id, stagingPath, asReader);
  for (const attempt of [
    async () => life.publish(view.id, stagingPath, asShared),
    async () => life.stage(view.id, asShared),
    async () => life.stage(view.id, { capability: mountCapability('SINGLE_NODE_WRITER', '') }),
  ]) {
    const { code, message } = await refusal(attempt());
    t.equal(code, 'FAILED_PRECONDITION', message);
    t.match(message, /shows a snapshot, which can only be read/);
  }
  await life.detach(view.id, { stagingPath, targetPath });
});

t.test('it is deleted in any order with its snapshot, the source and another one', async (t) => {
  for (const order of [
    ['snapshot', 'source', 'one', 'two'],
    ['source', 'snapshot', 'two', 'one'],
    ['one', 'two', 'snapshot', 'source'],
  ]) {
    const { life, source, snapshot, asked, create } = await snapped(t);
    const [one, two] = await Promise.all([create(), create()]);
    const ids: Record<string, string> = { source: source.id, one: one.id, two: two.id };
    for (const what of order) {
      const id = ids[what];
      if (id !== undefined) await life.delete(id);
      else await life.rpc.deleteSnapshot(snapshot.id);
      if (what !== 'snapshot') continue;
      t.equal((await refusal(life.rpc.getSnapshot(snapshot.id))).code, 'NOT_FOUND');
      t.notOk((await life.rpc.listSnapshots()).ids.includes(snapshot.id));
      t.equal((await refusal(create())).code, 'NOT_FOUND', 'no further one is made of it');
      t.equal((await refusal(life.create({ ...asked, ...asDirectory }))).code, 'NOT_FOUND', 'nor a copy');
      await life.rpc.deleteSnapshot(snapshot.id);
      if (order.at(-1) !== 'source') t.equal(await contentOf(life, two.id), 'then');
    }
    await nothingIsLeft(t);
  }
});

t.test('the parameter backingSnapshot forbids it, or refuses writers', async (t) => {
  const { life, asked, create } = await snapped(t);
  const copy = await create({ parameters: { ...asked.parameters, backingSnapshot: 'false' } });
  t.notMatch(copy.id, /:view$/);
  t.equal(await contentOf(life, copy.id), 'then');
  const forced = { parameters: { ...asked.parameters, backingSnapshot: 'true' } };
  t.match((await create(forced)).id, /:view$/);
  const { code, message } = await refusal(create({ ...forced, capabilities: asDirectory.capabilities }));
  t.equal(code, 'INVALID_ARGUMENT', message);
  t.match(message, /backingSnapshot is "true".*MULTI_NODE_MULTI_WRITER/);
  t.notMatch((await life.create({ ...asDirectory, ...forced })).id, /:view$/, 'without a source it says nothing');
});

t.test('a name stands for a copy or for what is shown, not for both', async (t) => {
  const { asked, create } = await snapped(t);
  for (const [first, second] of [
    [asked, asDirectory],
    [asDirectory, asked],
  ] as const) {
    const name = `pvc-${randomUUID()}`;
    await create({ name, capabilities: first.capabilities });
    const { code, message } = await refusal(create({ name, capabilities: second.capabilities }));
    t.equal(code, 'ALREADY_EXISTS', message);
  }
  const name = `pvc-${randomUUID()}`;
  await create({ name });
  t.equal((await refusal(create({ name, requiredBytes: 1n << 40n }))).code, 'ALREADY_EXISTS');
});

t.test('it does not grow and has no snapshots; what is made of it is a copy', async (t) => {
  const { life, snapshot, create } = await snapped(t);
  const view = await create();
  t.same(await life.rpc.expand(view.id, view.bytes), { bytes: view.bytes, needsNode: false });
  const growing = await refusal(life.rpc.expand(view.id, view.bytes * 2n));
  t.equal(growing.code, 'OUT_OF_RANGE', growing.message);
  const snapshotting = await refusal(life.snapshot(view.id));
  t.equal(snapshotting.code, 'INVALID_ARGUMENT', snapshotting.message);
  await life.rpc.deleteSnapshot(snapshot.id);
  const copy = await life.create({ ...asDirectory, source: { volume: view.id } });
  t.notMatch(copy.id, /:view$/);
  await life.delete(view.id);
  t.equal(await contentOf(life, copy.id), 'then');
});

t.test('a snapshot that was made by hand is shown as well, and kept for it', async (t) => {
  const { life, source, asked } = await snapped(t);
  const other = await life.create(asDirectory);
  for (const { id } of [source, other]) await mkdir(group.onHost(`${pathOf(id)}/.snap/daily`));
  const view = await life.create({ ...asked, source: { snapshot: `${source.id}@daily` } });
  const second = await life.create({ ...asked, source: { snapshot: `${other.id}@daily` } });
  await life.rpc.deleteSnapshot(`${source.id}@daily`);
  await life.rpc.deleteSnapshot(`${source.id}@daily`);
  await life.delete(source.id);
  t.equal(await contentOf(life, view.id), 'then');
  await life.delete(view.id);
  t.ok(await group.has(`${pathOf(other.id)}/.snap/daily`), 'the other directory has one of that name');
  await life.delete(second.id);
  await life.rpc.deleteSnapshot(`${other.id}@daily`);
  t.notOk(await group.has(`${pathOf(other.id)}/.snap/daily`));
});

t.test('a CreateVolume that was cut off is completed, or leaves nothing when the snapshot is gone', async (t) => {
  const { life, snapshot, create } = await snapped(t);
  const snapshotName = snapshot.id.split('@')[1] ?? '';
  const holds = () => hidden(`snapshots/${snapshotName}`);
  for (const after of ['directory', 'record'] as const) {
    const name = `cut off after the ${after}`;
    const view = await create({ name });
    const [hold = ''] = await holds();
    await rmdir(group.onHost(`${group.path}/.cuttle/snapshots/${snapshotName}/${hold}`));
    if (after === 'directory') group.removeAttribute(pathOf(view.id), 'trusted.cuttle.volume');
    t.same(await create({ name }), view);
    t.same(await holds(), [hold], 'it holds the snapshot again');
    await life.delete(view.id);
    t.same(await holds(), []);
  }
  const view = await create({ name: 'too late' });
  const [hold = ''] = await holds();
  await rmdir(group.onHost(`${group.path}/.cuttle/snapshots/${snapshotName}/${hold}`));
  await life.rpc.deleteSnapshot(snapshot.id);
  t.equal((await refusal(create({ name: 'too late' }))).code, 'NOT_FOUND');
  t.notOk(await group.has(pathOf(view.id)));
  t.same(await hidden('snapshots'), []);
});

t.test('what a volume that is gone has held does not keep the snapshot', async (t) => {
  const { life, snapshot, create } = await snapped(t);
  const view = await create();
  await rmdir(group.onHost(pathOf(view.id)));
  await life.rpc.deleteSnapshot(snapshot.id);
  t.same(await hidden('snapshots'), []);
  t.equal((await refusal(life.stage(view.id, asReader))).code, 'NOT_FOUND');
  t.equal((await outcomeOf(life.rpc.delete(view.id))).code, 'OK');
});

t.test('a stage that was cut off shows nothing but the snapshot when it is done again', async (t) => {
  const { life, source, create } = await snapped(t);
  const view = await create();
  await write(source.id, 'now');
  const stagingPath = await life.stage(view.id, asReader);
  execFileSync('umount', [stagingPath]);
  t.equal(await readFile(join(stagingPath, 'data'), 'utf8'), 'now', 'the directory lies beneath');
  const targetPath = await life.publish(view.id, stagingPath, asReader);
  t.equal(await readFile(join(targetPath, 'data'), 'utf8'), 'then');
  await life.detach(view.id, { stagingPath, targetPath });
});

t.test('when its daemon has died, a publish mounts it anew', async (t) => {
  const { life, source, create } = await snapped(t);
  const view = await create();
  const stagingPath = await life.stage(view.id, asReader);
  const clients = await clientsOf(site.cluster, pathOf(source.id));
  for (const pid of await localDaemons.find('ceph-fuse', `fsname=${view.id},`)) process.kill(pid, 'SIGKILL');
  await evict(site.cluster, clients);
  const targetPath = await life.publish(view.id, stagingPath, asReader);
  t.equal(await readFile(join(targetPath, 'data'), 'utf8'), 'then');
  await life.detach(view.id, { stagingPath, targetPath });
});

t.test('a user restricted to the group makes, mounts and deletes it, also when its source is gone', async (t) => {
  const user = `viewer-${site.pool}`;
  const secrets = { userID: user, userKey: await site.cluster.createUser(user, provisionerCaps(group.path)) };
  const reader = `reader-${site.pool}`;
  const readerSecrets = {
    userID: reader,
    userKey: await site.cluster.createUser(reader, provisionerCaps(group.path, 'rw')),
  };
  t.teardown(async () => {
    await site.cluster.removeUser(user);
    await site.cluster.removeUser(reader);
  });
  const { life, source, snapshot, create } = await snapped(t);
  const view = await create({ secrets });
  t.equal(await contentOf(life, view.id, readerSecrets), 'then');
  await site.rpc.deleteSnapshot(snapshot.id, secrets);
  await site.rpc.delete(source.id, secrets);
  t.equal(await contentOf(life, view.id, readerSecrets), 'then');
  await site.rpc.delete(view.id, secrets);
  await nothingIsLeft(t);
});
