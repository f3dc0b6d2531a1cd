import { statSync } from 'node:fs';
import { rm, statfs } from 'node:fs/promises';
import t from 'tap';
import { blockCapability } from '../harness/requests.js';
import { clusterYaml } from '../harness/driver.js';
import { asDirectory, asShared, groupYaml, openGroup, pathOf, patiently } from './group.js';
import { refusal } from './outcome.js';
import { Rpc } from './rpc.js';
import { secondDriver } from './site.js';

t.setTimeout(120_000);

const args = ['--backends', 'cephfs'];
const { site, group } = await openGroup(t, { args });
const mib = 1n << 20n;

function asking(parameters: Readonly<Record<string, string>>) {
  return { ...asDirectory, parameters: { backend: 'cephfs', ...parameters } };
}

t.test('every parameter of a StorageClass is found on the directory', async (t) => {
  const life = site.life(t);
  const { id, bytes, context } = await life.create(
    asking({
      mode: '2750',
      uid: '1001',
      gid: '2002',
      maxFiles: '500',
      pool: 'cephfs_data',
      namespaceIsolated: 'true',
      volumeNamePrefix: 'team-a_',
      mounter: 'fuse',
      fuseMountOptions: 'noatime',
    }),
  );
  const path = pathOf(id);
  t.match(path, new RegExp(`^${group.path}/team-a_[0-9a-f-]{36}$`));
  const { mode, uid, gid } = statSync(group.onHost(path));
  t.same([(mode & 0o7777).toString(8), uid, gid], ['2750', 1001, 2002]);
  t.equal(bytes, 16n * mib);
  for (const [name, value] of [
    ['ceph.quota.max_bytes', String(bytes)],
    ['ceph.quota.max_files', '500'],
    ['ceph.dir.layout.pool', 'cephfs_data'],
    ['ceph.dir.layout.pool_namespace', `fsvolumens_${path.split('/').at(-1) ?? ''}`],
  ] as const)
    t.equal(group.attribute(path, name), value, name);
  t.same(context, { mounter: 'fuse', fuseMountOptions: 'noatime' });
  t.ok((await life.rpc.list()).ids.includes(id));
  const paths = await life.attach(id, { ...asShared, context });
  const fs = await statfs(paths.targetPath);
  t.equal(BigInt(fs.blocks * fs.bsize), 16n * mib);
  t.match((await life.rpc.stats(id, paths.targetPath))[1], { unit: 'INODES', total: 500n });
});

t.test('without parameters it is open to pods of any user, in the pool of the directory above', async (t) => {
  const { id } = await site.life(t).create(asDirectory);
  const { mode, uid } = statSync(group.onHost(pathOf(id)));
  t.same([(mode & 0o7777).toString(8), uid], ['777', 0]);
  t.equal(group.attribute(pathOf(id), 'ceph.dir.layout.pool'), undefined);
  t.equal(group.attribute(pathOf(id), 'ceph.quota.max_files') ?? '0', '0');
});

t.test('names of 128 odd characters, and such that look like paths, are volumes like others', async (t) => {
  const life = site.life(t);
  const names = ['☃'.repeat(42), '../../../etc/passwd', `${'x/'.repeat(63)}x`, '.', ' ', `new\u00e9 "name" '$(id)'`];
  for (const name of names) {
    const volume = await life.create({ ...asDirectory, name });
    t.match(pathOf(volume.id), new RegExp(`^${group.path}/csi-vol-[0-9a-f-]{36}$`));
    t.same(await life.rpc.create(name, asDirectory), volume);
    t.match(group.attribute(pathOf(volume.id), 'trusted.cuttle.volume'), JSON.stringify(name));
  }
  t.equal(new Set(await group.names()).size, names.length);
});

const refused: readonly (readonly [string, Parameters<Rpc['create']>[1], string, readonly string[]])[] = [
  ['a missing file system', asking({ fsName: 'nofs' }), 'INVALID_ARGUMENT', ['"nofs"', 'which has "cephfs"', 'fsName']],
  [
    'a pool of RBD',
    asking({ pool: site.pool }),
    'INVALID_ARGUMENT',
    [`"${site.pool}"`, 'cephfs_data', 'add_data_pool'],
  ],
  ['a missing pool', asking({ pool: 'nopool' }), 'INVALID_ARGUMENT', ['"nopool"', 'which has cephfs_data']],
  ['the metadata pool', asking({ pool: 'cephfs_metadata' }), 'INVALID_ARGUMENT', ['"cephfs_metadata"', 'cephfs_data']],
  ['uid without gid', asking({ uid: '5' }), 'INVALID_ARGUMENT', ['uid and gid go together']],
  ['a hidden prefix', asking({ volumeNamePrefix: '.x' }), 'INVALID_ARGUMENT', ['volumeNamePrefix', "can't start with"]],
  ['a prefix that climbs', asking({ volumeNamePrefix: '../x' }), 'INVALID_ARGUMENT', ['volumeNamePrefix']],
  ['a parameter of RBD', asking({ imageFeatures: 'layering' }), 'INVALID_ARGUMENT', ['imageFeatures']],
  ['an unknown cluster', asking({ clusterID: 'nocluster' }), 'INVALID_ARGUMENT', ['"nocluster"', '"default"']],
  [
    'raw block',
    { ...asDirectory, capabilities: [blockCapability()] },
    'INVALID_ARGUMENT',
    ['volumeMode Filesystem', 'no block device'],
  ],
  ['too large a size', { ...asDirectory, requiredBytes: 1n << 60n }, 'OUT_OF_RANGE', ['8 PiB']],
];

for (const [what, request, code, parts] of refused) {
  t.test(`${what} is ${code} in a sentence with the way out, and nothing is made`, async (t) => {
    const before = await group.names();
    const outcome = await refusal(site.rpc.create('refused', request));
    t.equal(outcome.code, code, outcome.message);
    for (const part of parts) t.ok(outcome.message.includes(part), `"${part}" is in: ${outcome.message}`);
    t.notMatch(outcome.message, /(correct fsName.*){2}/, 'said once');
    t.same(await group.names(), before);
  });
}

t.test('the same name with another request is ALREADY_EXISTS, and the volume stays as it is', async (t) => {
  const life = site.life(t);
  const volume = await life.create({ ...asking({ maxFiles: '10' }), name: 'taken' });
  for (const [request, why] of [
    [asking({ maxFiles: '11' }), 'maxFiles'],
    [asDirectory, 'maxFiles'],
    [{ ...asking({ maxFiles: '10' }), requiredBytes: 64n * mib }, '16777216 bytes'],
    [{ ...asking({ maxFiles: '10' }), requiredBytes: 4n * mib, limitBytes: 8n * mib }, '16777216 bytes'],
  ] as const) {
    const { code, message } = await refusal(life.rpc.create('taken', request));
    t.equal(code, 'ALREADY_EXISTS', message);
    for (const part of [why, '"taken"', pathOf(volume.id)]) t.ok(message.includes(part), `"${part}" is in: ${message}`);
  }
  t.equal(group.attribute(pathOf(volume.id), 'ceph.quota.max_files'), '10');
  t.equal(group.attribute(pathOf(volume.id), 'ceph.quota.max_bytes'), String(16n * mib));
});

t.test('a record that somebody else has written is neither believed nor overwritten', async (t) => {
  const life = site.life(t);
  const { id } = await life.create({ ...asDirectory, name: 'foreign' });
  const path = pathOf(id);
  group.setAttribute(path, 'trusted.cuttle.volume', 'not ours');
  const { code, message } = await refusal(life.rpc.create('foreign', asDirectory));
  t.equal(code, 'INTERNAL', message);
  for (const part of ['trusted.cuttle.volume', path, 'setfattr -x']) t.match(message, part);
  t.equal(group.attribute(path, 'trusted.cuttle.volume'), 'not ours');
});

t.test(
  'where the group may hold no more files a volume is RESOURCE_EXHAUSTED, and made when there is room',
  async (t) => {
    const full = `${site.pool}-full`;
    const path = `/volumes/${full}`;
    await group.directories.make(path, { maxFiles: 2 });
    t.teardown(async () => rm(group.onHost(path), { ...patiently, recursive: true }));
    await group.directories.make(`${path}/one`);
    const config = clusterYaml(site.cluster, groupYaml(full));
    const driver = await secondDriver(t, site, { args, config });
    const rpc = new Rpc(() => driver);
    const { code, message } = await refusal(rpc.create('one too many', asDirectory));
    t.equal(code, 'RESOURCE_EXHAUSTED', message);
    for (const part of [path, 'quota', 'raise it']) t.match(message, part);
    group.setAttribute(path, 'ceph.quota.max_files', '100');
    const { id } = await rpc.create('one too many', asDirectory);
    await rpc.delete(id);
  },
);

t.test('a size is exact where the range says so, else a multiple of 4 MiB', async (t) => {
  const life = site.life(t);
  const exactly = 10n * mib + 4096n;
  for (const [requiredBytes, limitBytes, wanted] of [
    [exactly, exactly, exactly],
    [exactly, 0n, 12n * mib],
    [1n, 0n, 4n * mib],
  ] as const) {
    const { id, bytes } = await life.create({ ...asDirectory, requiredBytes, limitBytes });
    t.equal(bytes, wanted);
    t.equal(group.attribute(pathOf(id), 'ceph.quota.max_bytes'), String(wanted));
  }
});

t.test('what the tests have made is gone', async (t) => {
  t.ok(await group.isPurged());
  t.same(await group.names(), []);
});
