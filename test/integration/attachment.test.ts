import { rmdir } from 'node:fs/promises';
import t from 'tap';
import { clusterYaml } from '../harness/driver.js';
import { mountCapability } from '../harness/requests.js';
import { Directories } from './directories.js';
import { asDirectory } from './group.js';
import { outcomeOf, refusal } from './outcome.js';
import type { Rpc } from './rpc.js';
import { secondDriver, Site } from './site.js';

t.setTimeout(120_000);

const names = Array.from({ length: 8 }, (_, i) => `node-${i}`);
const nodes = `nodes: [${names.join(', ')}]\n`;
const site = await Site.open(t, { configFor: (cluster) => nodes + clusterYaml(cluster) });
const other = await secondDriver(t, site, { config: nodes + clusterYaml(site.cluster) });
const [a = '', b = ''] = names;

const kinds = {
  'an RBD image': { parameters: { pool: site.pool }, requiredBytes: 16n << 20n },
  'a CephFS directory': asDirectory,
};

for (const [kind, create] of Object.entries(kinds)) {
  t.test(`two controllers attach ${kind} at once: one node gets it, and of many readers all`, async (t) => {
    const lives = [site.life(t), site.life(t, () => other)] as const;
    const { id } = await lives[0].create(create);
    const writer = { capability: mountCapability('SINGLE_NODE_WRITER', '') };
    const readers = { capability: mountCapability('MULTI_NODE_READER_ONLY', '') };
    /** Every other node by the other controller. */
    const each = async (work: (rpc: Rpc, node: string) => Promise<unknown>) =>
      Promise.all(names.map(async (node, i) => outcomeOf(work(lives[i % 2 === 0 ? 0 : 1].rpc, node))));
    for (let round = 0; round < 5; round++) {
      const codes = (await each(async (rpc, node) => rpc.attach(id, node, writer))).map(({ code }) => code);
      t.equal(codes.filter((code) => code === 'OK').length, 1, codes.join());
      for (const code of codes) t.ok(['OK', 'FAILED_PRECONDITION', 'ABORTED'].includes(code), code);
      t.equal((await lives[1].rpc.getVolume(id)).nodes.length, 1);
      await lives[1].rpc.detach(id, '');

      for (const { code, message } of await each(async (rpc, node) => rpc.attach(id, node, readers)))
        t.equal(code, 'OK', message);
      t.same([...(await lives[0].rpc.getVolume(id)).nodes].sort(), names, 'nobody has written over another');
      for (const { code, message } of await each(async (rpc, node) => rpc.detach(id, node)))
        t.equal(code, 'OK', message);
      t.same((await lives[0].rpc.getVolume(id)).nodes, []);
    }
  });
}

t.test('an image that was made by hand is attached like any other, and so is its copy', async (t) => {
  const life = site.life(t);
  await site.cluster.rbd(['create', `${site.pool}/by-hand`, '--size', '16M']);
  const id = `rbd:default:${site.pool}::by-hand`;
  life.owns(id);
  await life.rpc.attach(id, a);
  t.equal((await refusal(life.rpc.attach(id, b))).code, 'FAILED_PRECONDITION');
  t.same((await life.rpc.getVolume(id)).nodes, [a]);
  // rbd cp takes the metadata along.
  await site.cluster.rbd(['cp', '--no-progress', `${site.pool}/by-hand`, `${site.pool}/copied`]);
  const copy = `rbd:default:${site.pool}::copied`;
  life.owns(copy);
  t.same((await life.rpc.getVolume(copy)).nodes, []);
  await life.rpc.attach(copy, b);
  await life.rpc.detach(copy, b);
  await life.delete(copy);
  t.equal((await refusal(life.rpc.delete(id))).code, 'FAILED_PRECONDITION');
  await life.rpc.detach(id, a);
  await life.delete(id);
});

t.test('a directory that was made by hand is attached like any other; a snapshot of it, by everybody', async (t) => {
  const directories = await Directories.open(t, site);
  const life = site.life(t);
  const use = { capability: mountCapability('SINGLE_NODE_WRITER', '') };
  const id = await directories.make('by-hand');
  await life.rpc.attach(id, a, use);
  t.equal((await refusal(life.rpc.attach(id, b, use))).code, 'FAILED_PRECONDITION');
  t.same((await life.rpc.getVolume(id)).nodes, [a]);
  t.equal((await refusal(life.rpc.delete(id))).code, 'FAILED_PRECONDITION');

  const snapshot = await directories.make('by-hand/.snap/one');
  for (const node of [a, b]) t.same(await life.rpc.attach(snapshot, node, use), { attached: 'true' });
  for (const node of [a, b]) await life.rpc.detach(snapshot, node);
  await rmdir(directories.onHost(`${directories.top}/by-hand/.snap/one`));
  await life.rpc.detach(id, a);
  await life.rpc.delete(id);
});
