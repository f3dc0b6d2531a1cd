import { execFileSync } from 'node:child_process';
import { chmod, rm } from 'node:fs/promises';
import t from 'tap';
import { asDirectory, asShared, openGroup, pathOf, patiently } from './group.js';

t.setTimeout(120_000);

const { site, group } = await openGroup(t, { args: ['--backends', 'cephfs'] });

/** What is left of a CreateVolume that was cut off after so many of its steps. */
const cutOff: Readonly<Record<string, (path: string) => void>> = {
  'before its record': (path) => {
    group.removeAttribute(path, 'trusted.cuttle.volume');
    group.setAttribute(path, 'ceph.quota.max_bytes', '0');
  },
  'before its quota': (path) => {
    group.setAttribute(path, 'ceph.quota.max_bytes', '0');
  },
};

for (const [when, undo] of Object.entries(cutOff)) {
  t.test(`a CreateVolume that was cut off ${when} is healed by its repetition`, async (t) => {
    const life = site.life(t);
    const request = {
      ...asDirectory,
      name: `cut-off ${when}`,
      parameters: { backend: 'cephfs', mode: '0750', maxFiles: '77', uid: '12', gid: '34', namespaceIsolated: 'true' },
    };
    const volume = await life.create(request);
    const path = pathOf(volume.id);
    undo(path);
    if (when === 'before its record') await chmod(group.onHost(path), 0o700);
    t.same(await life.create(request), volume);
    t.equal(group.attribute(path, 'ceph.quota.max_bytes'), String(16 << 20));
    t.equal(group.attribute(path, 'ceph.quota.max_files'), '77');
    t.match(group.attribute(path, 'ceph.dir.layout.pool_namespace'), /^fsvolumens_csi-vol-/);
    t.match(group.attribute(path, 'trusted.cuttle.volume'), /"name":"cut-off/);
    t.equal(execFileSync('stat', ['-c', '%a %u %g', group.onHost(path)], { encoding: 'utf8' }).trim(), '750 12 34');
    await life.stage(volume.id, asShared);
    t.same((await life.rpc.list()).ids, [volume.id]);
  });

  t.test(`a CreateVolume that was cut off ${when} is taken away by DeleteVolume`, async (t) => {
    const { id } = await site.rpc.create(`to go ${when}`, asDirectory);
    undo(pathOf(id));
    await site.rpc.delete(id);
    t.same(await group.names(), []);
    t.ok(await group.isPurged());
  });
}

t.test('a CreateSnapshot that was cut off after the snapshot was taken is completed by its repetition', async (t) => {
  const life = site.life(t);
  const volume = await life.create(asDirectory);
  const taken = await life.snapshot(volume.id, 'cut-off');
  const entry = `${group.path}/.cuttle/snapshots/${taken.id.split('@').at(-1) ?? ''}`;
  const whole = JSON.parse(group.attribute(entry, 'trusted.cuttle.snapshot') ?? '') as Record<string, unknown>;
  const { sizeBytes, createdMs, ...asked } = whole;
  t.match({ sizeBytes, createdMs }, { sizeBytes: String(16 << 20), createdMs: Number });
  group.setAttribute(entry, 'trusted.cuttle.snapshot', JSON.stringify(asked));
  t.same((await life.rpc.listSnapshots()).ids, [], 'it counts as not taken');
  t.match(await life.snapshot(volume.id, 'cut-off'), { id: taken.id, bytes: taken.bytes });
  t.same((await life.rpc.listSnapshots()).ids, [taken.id]);
});

t.test("Ceph's own commands see the directories as subvolumes, and what they change holds", async (t) => {
  const life = site.life(t);
  const asked = { ...asDirectory, parameters: { backend: 'cephfs', pool: 'cephfs_data' } };
  const volume = await life.create({ ...asked, name: 'seen' });
  const name = pathOf(volume.id).split('/').at(-1) ?? '';
  const subvolume = async (...words: string[]) => site.cluster.ceph(['fs', 'subvolume', ...words, '--format', 'json']);
  t.teardown(async () => rm(group.onHost('/volumes/_legacy'), { ...patiently, recursive: true, force: true }));
  const listed = JSON.parse(await subvolume('ls', 'cephfs', site.pool)) as { name: string }[];
  t.ok(listed.some((each) => each.name === name));
  t.match(JSON.parse(await subvolume('info', 'cephfs', name, site.pool)), {
    bytes_quota: 16 << 20,
    path: pathOf(volume.id),
  });
  t.equal(await subvolume('getpath', 'cephfs', name, site.pool), pathOf(volume.id));
  await subvolume('resize', 'cephfs', name, String(32 << 20), site.pool);
  const grown = { ...asked, requiredBytes: 32n << 20n };
  t.equal((await life.rpc.create('seen', grown)).bytes, 32n << 20n, 'the new size is the size');
  await subvolume('rm', 'cephfs', name, site.pool);
  t.notOk(await group.has(pathOf(volume.id)));
  await life.rpc.delete(volume.id);
});
