import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { clusterYaml, type Driver } from '../harness/driver.js';
import { asDirectory, groupYaml, openGroup, pathOf, patiently } from './group.js';
import { eventually } from './images.js';
import type { Volume } from './answers.js';
import { Rpc } from './rpc.js';
import { secondDriver } from './site.js';

t.setTimeout(180_000);

const args = ['--backends', 'cephfs'];
const { site, group } = await openGroup(t, { args });
const { directories } = group;
const secondsMs = 30_000;

/** A tree of so many files, with what a careless removal stumbles over. */
async function fill(path: string, files: number): Promise<void> {
  const perDirectory = 50;
  for (let i = 0; i * perDirectory < files; i++) {
    const directory = group.onHost(`${path}/d-${i}/deeper`);
    await mkdir(directory, { recursive: true });
    const names = Array.from({ length: Math.min(perDirectory, files - i * perDirectory) }, (_, j) => `file ${j}`);
    await Promise.all(names.map(async (name) => writeFile(join(directory, name), name)));
  }
  await symlink(group.onHost(group.path), group.onHost(`${path}/absolute`));
  await symlink('../bystander', group.onHost(`${path}/relative`));
  await chmod(group.onHost(`${path}/d-0`), 0o000);
}

/** Holds the lock that purgers take, as another controller does. @returns what lets it go. */
async function holdPurgeLock(t: Test): Promise<() => Promise<void>> {
  await mkdir(group.onHost(`${group.path}/.cuttle/trash`), { ...patiently, recursive: true });
  const lockFile = group.onHost(`${group.path}/.cuttle/purge.lock`);
  const holder: ChildProcess = spawn('flock', ['--no-fork', lockFile, 'sh', '-c', 'echo held; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(holder, 'exit');
  const release = async () => {
    holder.kill('SIGKILL');
    await exited;
  };
  t.teardown(release);
  if (holder.stdout !== null) await Promise.race([once(holder.stdout, 'data'), exited]);
  if (holder.exitCode !== null) throw new Error('the lock is not free');
  return release;
}

function purgedBy(log: string): number {
  return [...log.matchAll(/"done":(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
}

t.test('a deleted volume is out of sight at once, whatever it holds, and purged within seconds', async (t) => {
  await directories.make(`${group.path}/bystander`);
  await directories.write(`${group.path}/bystander/data`, 'stays');
  const [empty, full] = [await site.rpc.create('empty', asDirectory), await site.rpc.create('full', asDirectory)];
  await fill(pathOf(full.id), 400);
  const [emptyMs, fullMs] = [await timed(site.rpc.delete(empty.id)), await timed(site.rpc.delete(full.id))];
  t.same(await group.names(), ['bystander']);
  t.same((await site.rpc.list()).ids, []);
  t.ok(fullMs < emptyMs + 1_000, `deleting it full took ${fullMs} ms, empty ${emptyMs} ms`);
  t.ok(await group.isPurged());
  t.equal(await directories.read(`${group.path}/bystander/data`), 'stays');
});

t.test('while another controller purges, the old volume of a name that is used again waits in the trash', async (t) => {
  const release = await holdPurgeLock(t);
  const life = site.life(t);
  const old = await site.rpc.create('again', asDirectory);
  await directories.write(`${pathOf(old.id)}/data`, 'of the old one');
  for (let round = 1; round <= 3; round++) {
    await site.rpc.delete(old.id);
    t.same(await site.rpc.create('again', asDirectory), old);
    t.same(await readdir(group.onHost(pathOf(old.id))), [], 'it is empty');
    t.equal((await group.trash()).length, round);
  }
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  t.equal((await group.trash()).length, 3, 'nothing is purged by two');
  life.owns(old.id);
  await directories.write(`${pathOf(old.id)}/data`, 'of the new one');
  await release();
  t.ok(await group.isPurged());
  t.equal(await directories.read(`${pathOf(old.id)}/data`), 'of the new one');
});

t.test('what a driver that was killed has not purged, the next one does, also half a volume', async (t) => {
  const volumes = await Promise.all(['a', 'b', 'c'].map(async (name) => site.rpc.create(name, asDirectory)));
  const [big] = volumes as [Volume, ...Volume[]];
  await fill(pathOf(big.id), 600);
  t.ok(await group.isPurged());
  const release = await holdPurgeLock(t);
  await Promise.all(volumes.map(async ({ id }) => site.rpc.delete(id)));
  await site.restart('SIGKILL', async () => {
    t.equal((await group.trash()).length, 3, 'they lie in the trash while no driver runs');
    await release();
  });
  const name = pathOf(big.id).split('/').at(-1) ?? '';
  const isHalf = async () => {
    const [entry] = (await group.trash()).filter((each) => each.startsWith(name));
    if (entry === undefined) return true;
    return (await readdir(group.onHost(`${group.path}/.cuttle/trash/${entry}`)).catch(() => [])).length < 14;
  };
  t.ok(await eventually(isHalf, secondsMs), 'it is being purged');
  await site.restart('SIGKILL');
  t.ok(await group.isPurged());
});

t.test('a volume whose inner directories have snapshots is deleted with them', async (t) => {
  const { id } = await site.rpc.create('snapped', asDirectory);
  await fill(pathOf(id), 20);
  for (const path of [`${pathOf(id)}/d-0`, `${pathOf(id)}/d-0/deeper`]) {
    await group.snapshot(t, path, 'monday');
    await directories.write(`${path}/later`, 'after monday');
    await group.snapshot(t, path, 'tuesday');
  }
  await site.rpc.delete(id);
  t.ok(await group.isPurged());
});

t.test('a volume and its last snapshot that are deleted at the same time leave nothing', async (t) => {
  const names = Array.from({ length: 24 }, (_, i) => `raced-${i}`);
  const volumes = await Promise.all(names.map(async (name) => site.rpc.create(name, asDirectory)));
  const snapshots = await Promise.all(volumes.map(async ({ id }, i) => site.rpc.snapshot(`raced-${i}`, id)));
  await Promise.all([
    ...volumes.map(async ({ id }) => site.rpc.delete(id)),
    ...snapshots.map(async ({ id }) => site.rpc.deleteSnapshot(id)),
  ]);
  for (const place of ['deleted', 'snapshots'])
    t.same(await readdir(group.onHost(`${group.path}/.cuttle/${place}`)), [], place);
  t.ok(await group.isPurged());
});

t.test('a group with a snapshot of its own: volumes are deleted, and the snapshot stays', async (t) => {
  const { id } = await site.rpc.create('in a snapshot', asDirectory);
  await directories.write(`${pathOf(id)}/data`, 'of then');
  await group.snapshot(t, group.path, 'backup');
  await site.rpc.delete(id);
  t.ok(await group.isPurged());
  const then = pathOf(id).replace(group.path, `${group.path}/.snap/backup`);
  t.equal(await directories.read(`${then}/data`), 'of then');
});

t.test('two drivers on one group delete side by side, and each volume is purged once', async (t) => {
  const config = clusterYaml(site.cluster, groupYaml(site.pool));
  const other: Driver = await secondDriver(t, site, { args, config });
  const rpcs = [site.rpc, new Rpc(() => other)];
  const before = purgedBy(await site.driver.log());
  const names = Array.from({ length: 12 }, (_, i) => `shared-${i}`);
  const volumes = await Promise.all(names.map(async (name, i) => rpcs[i % 2]?.create(name, asDirectory)));
  for (const volume of volumes.slice(0, 4)) await fill(pathOf(volume?.id ?? ''), 30);
  // Each volume by both of them at the same time.
  await Promise.all(volumes.flatMap((volume) => rpcs.map(async (rpc) => rpc.delete(volume?.id ?? ''))));
  t.same(await group.names(), ['bystander']);
  t.ok(await group.isPurged());
  const both = async () => purgedBy(await site.driver.log()) - before + purgedBy(await other.log());
  t.ok(await eventually(async () => (await both()) === names.length, secondsMs), 'no volume was purged twice');
});

t.test(
  'where a quota stands between a directory and the group, it is purged beside it, after a kill too',
  async (t) => {
    const top = `${directories.top}/realm`;
    const id = await directories.make(`${top}/volume`);
    group.setAttribute(top, 'ceph.quota.max_bytes', String(1 << 30));
    await fill(`${top}/volume`, 10);
    const release = await holdPurgeLock(t);
    await site.rpc.delete(id);
    t.notOk(await group.has(`${top}/volume`));
    const trash = group.onHost(`${top}/.cuttle/trash`);
    t.equal((await readdir(trash)).length, 1);
    await site.restart('SIGKILL', release);
    t.ok(await eventually(async () => (await readdir(trash)).length === 0, secondsMs));
    await rm(group.onHost(top), { ...patiently, recursive: true });
  },
);

t.test('in a group with a quota of its own volumes are made, deleted and purged', async (t) => {
  group.setAttribute(group.path, 'ceph.quota.max_bytes', String(256 << 20));
  t.teardown(() => {
    group.setAttribute(group.path, 'ceph.quota.max_bytes', '0');
  });
  const { id } = await site.rpc.create('below a quota', asDirectory);
  await fill(pathOf(id), 10);
  t.ok((await site.rpc.capacity({ fsName: 'cephfs' })) <= 256n << 20n, 'GetCapacity knows the quota');
  await site.rpc.delete(id);
  t.ok(await group.isPurged());
});

async function timed(work: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work;
  return Math.round(performance.now() - startMs);
}
