import { randomUUID } from 'node:crypto';
import t from 'tap';
import { parseVolumeId } from '../../src/domain/volume-id.js';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { refusal } from './outcome.js';
import { Site } from './site.js';

t.setTimeout(120_000);

// A namespace and a group of its own make the list quiet.
const site = await Site.open(t, {
  configFor: (cluster) =>
    `clusters:\n  - id: default\n    cephConf: ${cluster.confPath}\n    rbd:\n      namespace: both\n    cephfs:\n      group: both\n`,
});
await site.cluster.rbd(['namespace', 'create', `${site.pool}/both`]);

const image = { parameters: { pool: site.pool }, capabilities: [mountCapability('SINGLE_NODE_WRITER', 'ext4')] };
const directory = {
  parameters: { backend: 'cephfs' },
  capabilities: [mountCapability('MULTI_NODE_MULTI_WRITER', '')],
};

t.test('pages of every size give each image and each directory once', async (t) => {
  const life = site.life(t);
  const made = await Promise.all([image, directory, image, directory, directory].map(async (one) => life.create(one)));
  const wanted = new Set(made.map((volume) => volume.id));
  for (const size of [0, 1, 2, 3, 4, 5, 6]) {
    const ids: string[] = [];
    let token = '';
    do {
      const page = await life.rpc.list(size, token);
      if (size > 0) t.ok(page.ids.length <= size);
      ids.push(...page.ids);
      token = page.next;
    } while (token !== '');
    t.equal(ids.length, wanted.size, `pages of ${size}`);
    t.same(new Set(ids), wanted);
  }
});

t.test('one name may stand for an image and for a directory: the StorageClass says which', async (t) => {
  const life = site.life(t);
  const name = `pvc-${randomUUID()}`;
  const one = await life.create({ ...image, name });
  const other = await life.create({ ...directory, name });
  t.equal(parseVolumeId(one.id)?.backend, 'rbd');
  t.equal(parseVolumeId(other.id)?.backend, 'cephfs');
  await life.delete(one.id);
  const { ids } = await life.rpc.list();
  t.notOk(ids.includes(one.id));
  t.ok(ids.includes(other.id));
});

t.test('each kind of volume refuses what only the other can do', async (t) => {
  const { rpc } = site;
  const shared = await refusal(rpc.create('a', { ...image, capabilities: directory.capabilities }));
  t.equal(shared.code, 'INVALID_ARGUMENT');
  t.match(shared.message, /CephFS/);
  const block = await refusal(rpc.create('a', { ...directory, capabilities: [blockCapability()] }));
  t.equal(block.code, 'INVALID_ARGUMENT');
  t.match(block.message, /RBD/);
  const unknown = await refusal(rpc.create('a', { ...image, parameters: { backend: 'nfs' } }));
  t.match(unknown.message, /parameter backend is "nfs": this driver serves rbd, cephfs/);
});

t.test('a directory is made whatever fs_type the provisioner fills in by default', async (t) => {
  const life = site.life(t);
  const volume = await life.create({ ...directory, capabilities: image.capabilities });
  await life.attach(volume.id, { capability: mountCapability('SINGLE_NODE_WRITER', 'ext4') });
});

t.test('an image and a directory are used beside each other', async (t) => {
  const life = site.life(t);
  const volumes = [await life.create(image), await life.create(directory)];
  const capabilities = [...image.capabilities, ...directory.capabilities];
  const paths = await Promise.all(
    volumes.map(async (volume, i) => life.attach(volume.id, { capability: capabilities[i] ?? mountCapability() })),
  );
  for (const [i, volume] of volumes.entries()) {
    const [bytes] = await life.rpc.stats(volume.id, paths[i]?.targetPath ?? '');
    t.ok((bytes?.total ?? 0n) > 0n);
    await life.detach(volume.id, paths[i] ?? { stagingPath: '', targetPath: '' });
  }
});
