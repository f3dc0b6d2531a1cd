import { mkdir, readdir, rm, statfs, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { parseVolumeId } from '../../src/domain/volume-id.js';
import { asShared, openGroup, patiently } from './group.js';
import { outcomeOf, refusal } from './outcome.js';

t.setTimeout(180_000);

const { site, group } = await openGroup(t, { args: ['--backends', 'cephfs'] });
const { directories } = group;
const mib = 1 << 20;
const unique = site.pool;

/** As in-tree users, older provisioners and administrators have them, with the quota that they gave them. */
const places = [
  ['a directory at the top, as the in-tree plugin is given', `/k8s_test-${unique}`, undefined],
  ['one that the external provisioner has made', `/volumes/kubernetes-${unique}/kubernetes-dynamic-pvc-0af1`, 32 * mib],
  ['a path with blanks, a percent sign, a colon and Unicode', `/große daten-${unique}/100% pvc: ☃`, 32 * mib],
  ["one in the driver's own group", `${group.path}/made-by-hand`, undefined],
] as const;
t.teardown(async () => {
  for (const top of [`k8s_test-${unique}`, `volumes/kubernetes-${unique}`, `große daten-${unique}`])
    await rm(group.onHost(`/${top}`), { ...patiently, recursive: true, force: true });
});

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

for (const [what, path, maxBytes] of places) {
  t.test(
    `${what}, ${maxBytes === undefined ? 'without' : 'with'} a quota, is a volume for its whole life`,
    async (t) => {
      const sibling = `${parentOf(path)}/sibling-${unique}`;
      await mkdir(group.onHost(sibling), { ...patiently, recursive: true });
      const id = await directories.make(path, maxBytes === undefined ? {} : { maxBytes });
      await directories.write(`${path}/old`, 'was here before');
      await directories.write(`${sibling}/theirs`, 'stays');
      const life = site.life(t);
      t.ok((await life.rpc.validate(id, [asShared.capability])).confirmed);
      const paths = await life.attach(id, asShared);
      await writeFile(join(paths.targetPath, 'new'), 'adopted', { flush: true });
      t.equal(await directories.read(`${path}/new`), 'adopted');
      t.same((await readdir(paths.targetPath)).sort(), ['new', 'old']);
      const [bytes] = await life.rpc.stats(id, paths.targetPath);
      t.ok((bytes?.total ?? 0n) > 0n);
      await grow(t, id, path, paths.targetPath, maxBytes);
      t.notOk((await life.rpc.list()).ids.includes(id), 'ListVolumes tells what CreateVolume has made');
      await life.detach(id, paths);
      await life.rpc.delete(id);
      t.notOk(await group.has(path), 'the directory is gone');
      t.equal(await directories.read(`${sibling}/theirs`), 'stays', 'and nothing else');
      t.match(await refusal(life.stage(id, asShared)), { code: 'NOT_FOUND' });
      t.equal((await outcomeOf(life.rpc.delete(id))).code, 'OK', 'deleted once more');
      t.ok(await group.isPurged());
      await rm(group.onHost(sibling), { ...patiently, recursive: true });
    },
  );
}

t.test('the space of all of them is freed', async (t) => {
  t.ok(await group.isPurged());
});

/** With a quota it grows, seen where it is published; without one there is nothing to grow, and none is set. */
async function grow(t: Test, id: string, path: string, target: string, maxBytes: number | undefined): Promise<void> {
  const grown = await site.rpc.expand(id, BigInt(64 * mib));
  t.same(grown, { bytes: BigInt(64 * mib), needsNode: false });
  const attribute = group.attribute(path, 'ceph.quota.max_bytes');
  if (maxBytes === undefined) {
    t.ok(attribute === undefined || attribute === '0', 'no quota has been set');
    return;
  }
  t.equal(attribute, String(64 * mib));
  const fs = await statfs(target);
  t.equal(fs.blocks * fs.bsize, 64 * mib);
  t.match(await refusal(site.rpc.expand(id, BigInt(16 * mib), BigInt(32 * mib))), {
    code: 'OUT_OF_RANGE',
    message: /volumes don't shrink/,
  });
}

t.test('the group, what is above it, hidden directories and snapshots are never deleted', async (t) => {
  await directories.make(`${group.path}/bystander`);
  await directories.make(`${group.path}/.cuttle/trash`);
  await group.snapshot(t, `${group.path}/bystander`, 'monday');
  for (const [path, why] of [
    ['/', `it holds ${group.path}`],
    ['/volumes', `it holds ${group.path}`],
    [group.path, `it holds ${group.path}`],
    [`${group.path}/.cuttle`, "the driver's own directory"],
    [`${group.path}/.cuttle/trash`, "the driver's own directory"],
    [`${group.path}/.cuttle/trash/anything`, "the driver's own directory"],
    [`${group.path}/bystander/.snap`, 'it is a snapshot'],
    [`${group.path}/bystander/.snap/monday`, 'it is a snapshot'],
  ] as const) {
    const id = directories.id(path);
    t.ok(parseVolumeId(id), id);
    const { code, message } = await refusal(site.rpc.delete(id));
    t.equal(code, 'FAILED_PRECONDITION', message);
    for (const part of [id, why, 'persistentVolumeReclaimPolicy to Retain']) t.match(message, part);
  }
  t.ok(await group.has(`${group.path}/bystander/.snap/monday`));
  t.ok(await group.has(`${group.path}/.cuttle/trash`));
});

t.test('a snapshot is not grown, and neither is what it was taken of', async (t) => {
  const path = `${group.path}/snapped`;
  await directories.make(path, { maxBytes: 16 * mib });
  await directories.write(`${path}/file`, 'on monday');
  await group.snapshot(t, path, 'monday');
  await directories.write(`${path}/file`, 'on tuesday');
  const id = directories.id(`${path}/.snap/monday`);
  const growing = await refusal(site.rpc.expand(id, BigInt(64 * mib)));
  t.equal(growing.code, 'FAILED_PRECONDITION', growing.message);
  t.match(growing.message, /a snapshot can only be read/);
  t.equal(group.attribute(path, 'ceph.quota.max_bytes'), String(16 * mib));
});

t.test("ids with a path that climbs, or is no absolute one, are nobody's", async (t) => {
  await directories.make(`${group.path}/bystander`);
  for (const path of [`${group.path}/../../etc`, `${group.path}/./bystander`, 'relative', '//volumes', '/volumes/']) {
    const id = `cephfs:default:cephfs:${path}`;
    t.equal((await outcomeOf(site.rpc.delete(id))).code, 'OK', `DeleteVolume of ${id}`);
    t.equal((await refusal(site.rpc.expand(id, 1n << 30n))).code, 'NOT_FOUND', `ControllerExpandVolume of ${id}`);
  }
  t.ok(await group.has(`${group.path}/bystander`));
});

t.test('a directory that is not there, and a file, get the answers that each RPC owes', async (t) => {
  const missing = directories.id(`${group.path}/missing`);
  await site.rpc.delete(missing);
  const growing = await refusal(site.rpc.expand(missing, 1n << 30n));
  t.equal(growing.code, 'NOT_FOUND', growing.message);
  for (const part of [missing, `${group.path}/missing`, 'file system "cephfs"']) t.match(growing.message, part);
  t.equal((await refusal(site.rpc.validate(missing, [asShared.capability]))).code, 'NOT_FOUND');
  await directories.write(`${group.path}/a-file`, 'of somebody');
  const file = directories.id(`${group.path}/a-file`);
  const { code, message } = await refusal(site.rpc.delete(file));
  t.equal(code, 'FAILED_PRECONDITION', message);
  t.match(message, /is no directory/);
  t.equal(await directories.read(`${group.path}/a-file`), 'of somebody');
});

t.test('of a symbolic link, neither the link nor what it leads to is deleted', async (t) => {
  await directories.make(`${group.path}/target`);
  await directories.write(`${group.path}/target/data`, 'of the target');
  await symlink('target', group.onHost(`${group.path}/link`));
  const outcome = await outcomeOf(site.rpc.delete(directories.id(`${group.path}/link`)));
  t.equal(outcome.code, 'FAILED_PRECONDITION', outcome.message);
  t.equal(await directories.read(`${group.path}/target/data`), 'of the target');
  t.equal(await directories.read(`${group.path}/link/data`), 'of the target');
});

t.test('a symbolic link on the way leads around nothing that is protected', async (t) => {
  await directories.make(`${group.path}/.cuttle/trash/kept`);
  const link = `${directories.top}/link`;
  for (const [to, inside] of [
    [`${group.path}/.cuttle`, 'trash'],
    [group.path, '.'],
    [`${group.path}/.cuttle/trash`, 'kept'],
  ] as const) {
    await symlink(relative(dirname(link), to), group.onHost(link));
    const path = inside === '.' ? link : `${link}/${inside}`;
    const { code, message } = await refusal(site.rpc.delete(directories.id(path)));
    t.equal(code, 'FAILED_PRECONDITION', message);
    t.match(message, `${link} of file system "cephfs" is no directory`);
    await rm(group.onHost(link));
  }
});

for (const [what, place, inMessage] of [
  ['file system', { fsName: 'no-such-fs' }, 'no-such-fs'],
  ['cluster', { clusterId: 'no-such-cluster' }, 'no-such-cluster'],
] as const) {
  t.test(`an id of an unknown ${what} gets the answer that each RPC owes`, async (t) => {
    const id = directories.id(`${group.path}/csi-vol-x`, place);
    const validating = await refusal(site.rpc.validate(id, [asShared.capability]));
    t.equal(validating.code, 'NOT_FOUND', validating.message);
    const growing = await refusal(site.rpc.expand(id, 1n << 30n));
    t.equal(growing.code, 'NOT_FOUND', growing.message);
    t.match(growing.message, inMessage);
    const deleting = await outcomeOf(site.rpc.delete(id));
    t.equal(deleting.code, what === 'cluster' ? 'FAILED_PRECONDITION' : 'OK', deleting.message);
  });
}
