import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Driver } from '../harness/driver.js';
import { clusterYaml } from '../harness/driver.js';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { asDirectory } from './group.js';
import { eventually } from './images.js';
import { refusal } from './outcome.js';
import { secondDriver, Site } from './site.js';
import type { VolumeLife } from './volume-life.js';
import { write } from './write-outcome.js';

/*
 * Two drivers with node ids and run directories of their own stand for two nodes. A node that is lost is one whose NodeUnstageVolume is
 * never called: its daemons go on, and must not reach the volume any more once the orchestrator has taken it away.
 */
t.setTimeout(180_000);

const nodes = 'nodes: [node-a, node-b]\n';
const site = await Site.open(t, {
  args: ['--node-id', 'node-a'],
  configFor: (cluster) => nodes + clusterYaml(cluster),
});
const driverB = await secondDriver(t, site, {
  args: ['--node-id', 'node-b'],
  config: nodes + clusterYaml(site.cluster),
});

async function isBlocklisted(address: string): Promise<boolean> {
  return (await site.cluster.ceph(['osd', 'blocklist', 'ls'])).includes(address);
}

interface Kind {
  readonly name: string;
  readonly create: Parameters<VolumeLife['create']>[0];
  readonly capability: ReturnType<typeof mountCapability>;
  readonly data: (targetPath: string) => string;
}

const kinds: readonly Kind[] = [
  {
    name: 'an RBD file system',
    create: { parameters: { pool: site.pool }, requiredBytes: 32n << 20n },
    capability: mountCapability(),
    data: (path) => join(path, 'data'),
  },
  {
    name: 'an RBD block device',
    create: { parameters: { pool: site.pool }, requiredBytes: 16n << 20n, capabilities: [blockCapability()] },
    capability: blockCapability(),
    data: (path) => path,
  },
  {
    name: 'a CephFS directory',
    create: { ...asDirectory, capabilities: [mountCapability('SINGLE_NODE_WRITER', '')] },
    capability: mountCapability('SINGLE_NODE_WRITER', ''),
    data: (path) => join(path, 'data'),
  },
];

/** Attached by the controller, staged and published on the node. */
async function use(life: VolumeLife, kind: Kind, id: string, node: string, path?: string) {
  const publishContext = await life.rpc.attach(id, node, { capability: kind.capability });
  const options = { capability: kind.capability, publishContext };
  const stagingPath = await life.stage(id, { ...options, ...(path === undefined ? {} : { path }) });
  const targetPath = await life.publish(id, stagingPath, options);
  return { stagingPath, targetPath, publishContext };
}

for (const kind of kinds) {
  t.test(`${kind.name} is taken from a lost node by force: its client is fenced, the next node has it`, async (t) => {
    const a = site.life(t);
    const b = site.life(t, (): Driver => driverB);
    const { id } = await a.create(kind.create);
    const onA = await use(a, kind, id, 'node-a');
    t.equal(await write(kind.data(onA.targetPath), 'from a '), undefined);
    const { code } = await refusal(b.rpc.attach(id, 'node-b', { capability: kind.capability }));
    t.equal(code, 'FAILED_PRECONDITION', 'node a has it');
    const staged = b.rpc.stage(id, site.path('stage'), { capability: kind.capability });
    t.equal((await refusal(staged)).code, 'FAILED_PRECONDITION', 'nor does node b get it past the controller');

    await a.rpc.detach(id, 'node-a');
    t.ok(
      await eventually(async () => (await write(kind.data(onA.targetPath), 'too late ')) !== undefined, 5_000),
      'what node a writes now is refused',
    );
    await a.rpc.detach(id, 'node-a');

    const onB = await use(b, kind, id, 'node-b');
    t.match(await readFile(kind.data(onB.targetPath), 'utf8').then((text) => text.slice(0, 7)), 'from a ');
    t.equal(await write(kind.data(onB.targetPath), 'from b '), undefined);
    t.not(await write(kind.data(onA.targetPath), 'still too late '), undefined);

    const again = await refusal(a.rpc.stage(id, site.path('stage'), { capability: kind.capability }));
    t.equal(again.code, 'FAILED_PRECONDITION', 'node a does not get it back by itself');
    await b.detach(id, onB);
    await b.rpc.detach(id, 'node-b');
    await returns(t, kind, a, id, onA);
  });
}

/** The lost node is back, its dead stage is still there, and it gets the volume again. */
async function returns(
  t: Test,
  kind: Kind,
  a: VolumeLife,
  id: string,
  before: { stagingPath: string; targetPath: string },
): Promise<void> {
  await a.unpublish(id, before.targetPath);
  const publishContext = await a.rpc.attach(id, 'node-a', { capability: kind.capability });
  t.match(publishContext.fencedClients, /^127\.0\.0\.1:0\/\d+$/);
  const fenced = publishContext.fencedClients ?? '';
  t.ok(await isBlocklisted(fenced), 'as long as the old client may be there, it stays shut out');
  const options = { capability: kind.capability, publishContext };
  await a.rpc.stage(id, before.stagingPath, options);
  await a.rpc.stage(id, before.stagingPath, options);
  const targetPath = await a.publish(id, before.stagingPath, options);
  t.equal(await readFile(kind.data(targetPath), 'utf8').then((text) => text.slice(0, 7)), 'from b ');
  t.equal(await write(kind.data(targetPath), 'a again '), undefined);
  await a.detach(id, { stagingPath: before.stagingPath, targetPath });
  await a.rpc.detach(id, 'node-a');
  t.notOk(await isBlocklisted(fenced), 'the fence is lifted when node a has shown that its old client is gone');
}
