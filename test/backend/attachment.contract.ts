import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import { outcomeOf, refusal } from '../integration/outcome.js';
import type { Bench, Checks } from './contract-bench.js';

/** The driver's own node, and two that its configuration lists. */
const own = 'test-node';
const [a, b] = ['node-a', 'node-b'];
/** The publish_context of an attachment without anything to say. */
const plain = { attached: 'true' };

async function nodesOf(t: Test, bench: Bench, volumeId: string): Promise<readonly string[]> {
  const { nodes } = await bench.rpc.getVolume(volumeId);
  const listed = (await bench.rpc.listed()).find(({ id }) => id === volumeId);
  t.same(listed?.nodes, nodes, 'ListVolumes says the same as ControllerGetVolume');
  return [...nodes].sort();
}

export const attachmentChecks: Checks = {
  'a single-node volume is attached to one node at a time, and the refusal names it': async (t, bench) => {
    const { id } = await bench.create();
    for (const mode of ['SINGLE_NODE_WRITER', 'SINGLE_NODE_SINGLE_WRITER', 'SINGLE_NODE_MULTI_WRITER'] as const) {
      const use = { capability: bench.backend.capabilities.of(mode) };
      t.same(await bench.rpc.attach(id, a, use), plain);
      t.same(await bench.rpc.attach(id, a, use), plain, 'repeated');
      t.same(await nodesOf(t, bench, id), [a]);
      const { code, message } = await refusal(bench.rpc.attach(id, b, use));
      t.equal(code, 'FAILED_PRECONDITION', mode);
      t.match(message, /attached to node "node-a".*detach it there first/);
      await bench.rpc.detach(id, a);
      await bench.rpc.detach(id, a);
      t.same(await bench.rpc.attach(id, b, use), plain, 'then it is the other one that may have it');
      t.same(await nodesOf(t, bench, id), [b]);
      await bench.rpc.detach(id, '');
      t.same(await nodesOf(t, bench, id), []);
    }
  },

  'readers share a volume among nodes; beside them there is no place for a single-node mode': async (t, bench) => {
    const { id } = await bench.create();
    const readers = { capability: bench.backend.capabilities.of('MULTI_NODE_READER_ONLY') };
    t.same(await bench.rpc.attach(id, a, readers), plain);
    t.same(await bench.rpc.attach(id, b, readers), plain);
    t.same(await nodesOf(t, bench, id), [a, b]);
    const writer = { capability: bench.backend.capabilities.of('SINGLE_NODE_WRITER') };
    const { code, message } = await refusal(bench.rpc.attach(id, own, writer));
    t.equal(code, 'FAILED_PRECONDITION');
    t.match(message, /"node-a", "node-b".*SINGLE_NODE_WRITER allows one node/);
    await bench.rpc.detach(id, a);
    t.same(await nodesOf(t, bench, id), [b]);
    t.equal((await refusal(bench.rpc.attach(id, own, writer))).code, 'FAILED_PRECONDITION');
    await bench.rpc.detach(id, '');
    await bench.rpc.attach(id, own, writer);
  },

  'the same node with another capability or another readonly flag is ALREADY_EXISTS': async (t, bench) => {
    const { id } = await bench.create();
    const { of } = bench.backend.capabilities;
    await bench.rpc.attach(id, a, { capability: of('SINGLE_NODE_WRITER') });
    for (const other of [
      { capability: of('SINGLE_NODE_WRITER'), readOnly: true },
      { capability: of('SINGLE_NODE_READER_ONLY') },
    ]) {
      const { code, message } = await refusal(bench.rpc.attach(id, a, other));
      t.equal(code, 'ALREADY_EXISTS');
      t.match(message, /node "node-a" already/);
    }
  },

  'attaching an unknown volume, or to an unknown node, is NOT_FOUND; detaching either is OK': async (t, bench) => {
    const { id } = await bench.create();
    const use = { capability: bench.backend.capabilities.of('SINGLE_NODE_WRITER') };
    for (const garbage of ['fake-vol-id', `${id}x`, 'rbd:..:..:..:..']) {
      t.equal((await refusal(bench.rpc.attach(garbage, a, use))).code, 'NOT_FOUND', garbage);
      t.equal((await refusal(bench.rpc.getVolume(garbage))).code, 'NOT_FOUND', garbage);
      await bench.rpc.detach(garbage, a);
      await bench.rpc.detach(garbage, '');
    }
    const { code, message } = await refusal(bench.rpc.attach(id, 'nobody', use));
    t.equal(code, 'NOT_FOUND');
    t.match(message, /node "nobody"/);
    await bench.rpc.detach(id, 'nobody');
    await bench.rpc.detach(id, a);
    t.same(await nodesOf(t, bench, id), []);
  },

  'a capability that the backend can never serve is INVALID_ARGUMENT': async (t, bench) => {
    const { id } = await bench.create();
    const use = { capability: bench.backend.capabilities.impossible };
    t.equal((await refusal(bench.rpc.attach(id, a, use))).code, 'INVALID_ARGUMENT');
  },

  'what is attached read-only is read and not written, whatever the node is asked for': async (t, bench) => {
    const volume = await bench.create();
    const use = bench.use(volume);
    const before = await bench.life.attach(volume.id, use);
    await bench.write(before.targetPath, 'for readers');
    await bench.life.detach(volume.id, before);
    const publishContext = await bench.rpc.attach(volume.id, own, { ...use, readOnly: true });
    t.same(publishContext, { attached: 'true', readOnly: 'true' });
    const { targetPath, stagingPath } = await bench.life.attach(volume.id, { ...use, publishContext });
    t.equal(await bench.read(targetPath), 'for readers');
    t.ok(['EROFS', 'EPERM', 'EACCES'].includes((await bench.writeRefusal(targetPath)) ?? 'none'));
    await bench.life.detach(volume.id, { targetPath, stagingPath });
    await bench.rpc.detach(volume.id, own);
    const after = await bench.life.attach(volume.id, use);
    await bench.write(after.targetPath, 'written again');
  },

  'an attached volume is not deleted, and the refusal names the node': async (t, bench) => {
    const { id } = await bench.create();
    await bench.rpc.attach(id, a, { capability: bench.backend.capabilities.of('SINGLE_NODE_WRITER') });
    const { code, message } = await refusal(bench.rpc.delete(id));
    t.equal(code, 'FAILED_PRECONDITION');
    t.match(message, /attached to node "node-a"/);
    t.same(await nodesOf(t, bench, id), [a], 'it is as it was');
    await bench.rpc.detach(id, a);
    const use = { capability: bench.backend.capabilities.of('SINGLE_NODE_WRITER') };
    t.same(await bench.rpc.attach(id, b, use), plain, 'the refused deletion has left nothing in the way');
    await bench.rpc.detach(id, b);
    await bench.life.delete(id);
    await bench.rpc.detach(id, a);
  },

  'a node that does not have the volume attached is not let in while another has it': async (t, bench) => {
    const volume = await bench.create();
    const use = bench.use(volume);
    await bench.rpc.attach(volume.id, a, use);
    const { code, message } = await refusal(bench.life.stage(volume.id, use));
    t.equal(code, 'FAILED_PRECONDITION');
    t.match(message, /attached to node "node-a" and not to this node/);
    await bench.rpc.detach(volume.id, a);
    await bench.rpc.attach(volume.id, own, use);
    const paths = await bench.life.attach(volume.id, use);
    await bench.write(paths.targetPath, 'let in');
    await bench.life.detach(volume.id, paths);
    await bench.rpc.detach(volume.id, own);
  },

  'a node that has lost the volume meanwhile does not stage it by what it was told before': async (t, bench) => {
    const volume = await bench.create();
    const use = bench.use(volume);
    const publishContext = await bench.rpc.attach(volume.id, own, use);
    await bench.rpc.detach(volume.id, own);
    const { code, message } = await refusal(bench.life.stage(volume.id, { ...use, publishContext }));
    t.equal(code, 'FAILED_PRECONDITION');
    t.match(message, /not attached to this node \("test-node"\) any more/);
    await bench.life.stage(volume.id, use);
  },

  'a volume made of an attached one, or of its snapshot, is attached nowhere': async (t, bench) => {
    const source = await bench.create();
    const use = { capability: bench.backend.capabilities.of('SINGLE_NODE_WRITER') };
    const paths = await bench.life.attach(source.id, bench.use(source));
    await bench.rpc.attach(source.id, own, use);
    const snapshot = await bench.life.snapshot(source.id);
    for (const from of [{ snapshot: snapshot.id }, { volume: source.id }]) {
      const copy = await bench.life.create({ ...bench.createOptions, source: from, name: `pvc-${randomUUID()}` });
      t.same(await nodesOf(t, bench, copy.id), []);
      await bench.rpc.attach(copy.id, b, use);
      t.same(await nodesOf(t, bench, copy.id), [b]);
      await bench.rpc.detach(copy.id, b);
      await bench.life.delete(copy.id);
    }
    t.same(await nodesOf(t, bench, source.id), [own]);
    await bench.life.detach(source.id, paths);
  },

  'nodes that are attached at the same moment are all written down, and a single-node volume gets one': async (
    t,
    bench,
  ) => {
    const { id } = await bench.create();
    const readers = { capability: bench.backend.capabilities.of('MULTI_NODE_READER_ONLY') };
    const nodes = [a, b, own];
    await Promise.all(nodes.map(async (node) => bench.rpc.attach(id, node, readers)));
    t.same(await nodesOf(t, bench, id), [...nodes].sort());
    await Promise.all(nodes.map(async (node) => bench.rpc.detach(id, node)));
    t.same(await nodesOf(t, bench, id), []);
    const writer = { capability: bench.backend.capabilities.of('SINGLE_NODE_WRITER') };
    const outcomes = await Promise.all(nodes.map(async (node) => outcomeOf(bench.rpc.attach(id, node, writer))));
    t.same(outcomes.map(({ code }) => code).sort(), ['FAILED_PRECONDITION', 'FAILED_PRECONDITION', 'OK']);
    t.equal((await nodesOf(t, bench, id)).length, 1);
  },
};
