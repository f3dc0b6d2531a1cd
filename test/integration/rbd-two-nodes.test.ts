import { open, readFile } from 'node:fs/promises';
import t from 'tap';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { outcomeOf, refusal } from './outcome.js';
import { secondDriver, Site } from './site.js';

/*
 * Two drivers with run directories of their own stand for two nodes: each maps the image by a daemon of its own. What one
 * machine can't show is the refusal of a second node for a single-node mode: it goes by the watchers' IP addresses, which
 * are the same here (test/backend/rbd has it as a unit test).
 */
t.setTimeout(120_000);

const site = await Site.open(t);
const other = await secondDriver(t, site);
// object-map and its kin need the exclusive lock, which two writers would hand to and fro with every write.
const shared = {
  parameters: { pool: site.pool, imageFeatures: 'layering' },
  requiredBytes: 16n << 20n,
  capabilities: [blockCapability('MULTI_NODE_MULTI_WRITER')],
};

async function writeAt(device: string, position: number, text: string): Promise<void> {
  const file = await open(device, 'r+');
  await file.write(Buffer.alloc(4096, text), 0, 4096, position);
  await file.sync();
  await file.close();
}

t.test('a block volume is written from two nodes at once, each at its own place', async (t) => {
  const here = site.life(t);
  const there = site.life(t, () => other);
  const { id } = await here.create(shared);
  const use = { capability: blockCapability('MULTI_NODE_MULTI_WRITER') };
  const [one, two] = await Promise.all([here.attach(id, use), there.attach(id, use)]);
  await Promise.all([writeAt(one.targetPath, 0, 'one '), writeAt(two.targetPath, 8192, 'two ')]);
  await Promise.all([here.detach(id, one), there.detach(id, two)]);
  const { targetPath } = await here.attach(id, use);
  const content = await readFile(targetPath);
  t.same(content.subarray(0, 4096), Buffer.alloc(4096, 'one '));
  t.same(content.subarray(8192, 12288), Buffer.alloc(4096, 'two '));
});

t.test(
  'a volume that is staged on one node is not deleted from the other, and leaves one without the other',
  async (t) => {
    const here = site.life(t);
    const there = site.life(t, () => other);
    const { id } = await here.create(shared);
    const use = { capability: blockCapability('MULTI_NODE_MULTI_WRITER') };
    const one = await here.attach(id, use);
    const two = await there.attach(id, use);
    t.equal((await refusal(there.rpc.delete(id))).code, 'FAILED_PRECONDITION');
    await here.detach(id, one);
    await writeAt(two.targetPath, 0, 'still here');
    t.equal((await refusal(here.rpc.delete(id))).code, 'FAILED_PRECONDITION');
    await there.detach(id, two);
    await here.delete(id);
  },
);

t.test('a mounted file system is read on two nodes at once', async (t) => {
  const here = site.life(t);
  const there = site.life(t, () => other);
  const { id } = await here.create({ parameters: { pool: site.pool }, requiredBytes: 32n << 20n });
  const path = await here.stage(id);
  await here.unstage(id, path);
  const readers = { capability: mountCapability('MULTI_NODE_READER_ONLY') };
  const [one, two] = await Promise.all([here.attach(id, readers), there.attach(id, readers)]);
  t.equal((await here.rpc.stats(id, one.targetPath)).length, 2);
  t.equal((await there.rpc.stats(id, two.targetPath)).length, 2);
  await Promise.all([here.detach(id, one), there.detach(id, two)]);
});

t.test('two controllers that are asked for the same volume at once make and delete one', async (t) => {
  const here = site.life(t);
  const there = site.life(t, () => other);
  for (let round = 0; round < 10; round++) {
    const request = { name: `shared-${round}`, parameters: { pool: site.pool }, requiredBytes: 16n << 20n };
    const outcomes = await Promise.all([outcomeOf(here.create(request)), outcomeOf(there.create(request))]);
    t.ok(outcomes.some(({ code }) => code === 'OK'));
    for (const { code, message } of outcomes) t.ok(['OK', 'ABORTED'].includes(code), message);
    const [one, two] = await Promise.all([here.create(request), there.create(request)]);
    t.same(one, two, 'whoever was told to repeat the request has it now');
    const deletions = await Promise.all([outcomeOf(here.rpc.delete(one.id)), outcomeOf(there.rpc.delete(one.id))]);
    t.ok(deletions.some(({ code }) => code === 'OK'));
    // One may meet the other while that has the image open for the move: whoever is refused is to repeat it.
    for (const { code, message } of deletions) t.ok(['OK', 'FAILED_PRECONDITION'].includes(code), message);
    await Promise.all([here.delete(one.id), there.delete(one.id)]);
  }
});
