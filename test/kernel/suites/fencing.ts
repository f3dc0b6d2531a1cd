import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { clusterYaml } from '../../harness/driver.js';
import { mountCapability } from '../../harness/requests.js';
import { eventually } from '../../integration/images.js';
import { mountEntry } from '../../integration/leftovers.js';
import { Site } from '../../integration/site.js';
import { write } from '../../integration/write-outcome.js';

/** A node whose volume is taken from it by force is shut out, and stages it anew when it gets it back. */
const site = await Site.open(t, {
  args: ['--node-id', 'node-a'],
  configFor: (cluster) => `nodes: [node-a, node-b]\n${clusterYaml(cluster)}`,
});
const image = { backend: 'rbd', clusterID: 'default', pool: site.pool };
const directory = { backend: 'cephfs', clusterID: 'default', fsName: site.cluster.fsName };

const kinds = {
  krbd: {
    parameters: { ...image, mounter: 'krbd' },
    capability: mountCapability(),
    source: /^\/dev\/rbd[0-9]+$/,
  },
  'rbd-nbd': {
    parameters: { ...image, mounter: 'nbd' },
    capability: mountCapability(),
    source: /^\/dev\/nbd[0-9]+$/,
  },
  'kernel CephFS': {
    parameters: { ...directory, mounter: 'kernel' },
    capability: mountCapability('SINGLE_NODE_WRITER', ''),
    source: /^127\.0\.0\.1:/,
  },
};

for (const [name, { parameters, capability, source }] of Object.entries(kinds)) {
  t.test(`${name}: the client of a lost node is fenced, and replaced when the node gets the volume back`, async (t) => {
    const life = site.life(t);
    const { id, context } = await life.create({ parameters, capabilities: [capability], requiredBytes: 64n << 20n });
    const attached = await life.rpc.attach(id, 'node-a', { capability });
    const before = await life.attach(id, { capability, context, publishContext: attached });
    t.match((await mountEntry(before.stagingPath))?.source, source);
    t.equal(await write(join(before.targetPath, 'data'), 'first '), undefined);

    await life.rpc.detach(id, 'node-a');
    const isShutOut = async () => (await write(join(before.targetPath, 'data'), 'too late ')) !== undefined;
    t.ok(await eventually(isShutOut, 10_000), 'what the lost node writes now is refused');
    await life.rpc.attach(id, 'node-b', { capability });
    await life.rpc.detach(id, 'node-b');

    const publishContext = await life.rpc.attach(id, 'node-a', { capability });
    const fenced = publishContext.fencedClients ?? '';
    t.match(fenced, /^127\.0\.0\.1:0\/\d+$/);
    t.match(await site.cluster.ceph(['osd', 'blocklist', 'ls']), fenced);
    await life.unpublish(id, before.targetPath);
    const options = { capability, context, publishContext };
    const { stagingPath } = before;
    await life.rpc.stage(id, stagingPath, options);
    const targetPath = await life.publish(id, stagingPath, options);
    t.match(await readFile(join(targetPath, 'data'), 'utf8'), /^first /, 'nothing that came too late is there');
    t.equal(await write(join(targetPath, 'data'), 'second '), undefined);
    await life.detach(id, { stagingPath, targetPath });
    await life.rpc.detach(id, 'node-a');
    const isLifted = async () => !(await site.cluster.ceph(['osd', 'blocklist', 'ls'])).includes(fenced);
    t.ok(await eventually(isLifted, 10_000), 'the fence is lifted');
  });
}
