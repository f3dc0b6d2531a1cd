import t from 'tap';
import { execa } from 'execa';
import { defaultVolumeNamePrefix, objectNameFor } from '../../src/backend/object-name.js';
import { blockCapability } from '../harness/requests.js';
import { Site } from './site.js';

t.setTimeout(120_000);

const site = await Site.open(t);
const { cluster, pool } = site;
const device = { capability: blockCapability() };
const asDevice = { parameters: { pool }, capabilities: [device.capability], requiredBytes: 16n << 20n };

/** What is written, past every cache of this node's. */
const writtenBytes = 2 << 20;
/** At this rate that takes four seconds, the first of which a full bucket may pay for. */
const slowBytesPerSecond = writtenBytes / 4;
/** No machine that runs these tests takes so long for two MiB, and no limit that is kept lets them through sooner. */
const borderMs = 2_000;

function specOf(volumeId: string): string {
  return `${pool}/${volumeId.split(':').at(-1) ?? ''}`;
}

async function writeMs(path: string): Promise<number> {
  const startMs = performance.now();
  const blockBytes = 128 << 10;
  const size = [`bs=${blockBytes}`, `count=${writtenBytes / blockBytes}`];
  await execa('dd', ['if=/dev/zero', `of=${path}`, ...size, 'oflag=direct', 'conv=notrunc']);
  return performance.now() - startMs;
}

t.test('a limit that a volume is made with is kept by what maps it in user space', async (t) => {
  const life = site.life(t);
  const { id } = await life.create({ ...asDevice, mutable: { qosWriteBpsLimit: '512Ki' } });
  const { targetPath } = await life.attach(id, device);
  t.ok((await writeMs(targetPath)) > borderMs);
});

t.test('a volume in use takes a changed limit over at once, and its end too', async (t) => {
  const life = site.life(t);
  const { id } = await life.create(asDevice);
  const { targetPath } = await life.attach(id, device);
  t.ok((await writeMs(targetPath)) < borderMs);
  await life.rpc.modify(id, { qosBpsLimit: slowBytesPerSecond.toString() });
  t.ok((await writeMs(targetPath)) > borderMs);
  await life.rpc.modify(id, { qosBpsLimit: '0' });
  t.ok((await writeMs(targetPath)) < borderMs);
});

t.test(
  'a clone that was cut off before its record was written is completed without the limits of its parent',
  async (t) => {
    const life = site.life(t);
    const source = await life.create({ ...asDevice, mutable: { qosIopsLimit: '100' } });
    const snapshot = await life.snapshot(source.id);
    const name = 'cut-off';
    const clone = `${pool}/${objectNameFor(name, defaultVolumeNamePrefix)}`;
    const parent = `${specOf(source.id)}@${snapshot.id.split('@').at(-1) ?? ''}`;
    await cluster.rbd(['clone', '--rbd-default-clone-format', '2', parent, clone]);
    const limitsOf = async () => (await cluster.rbd(['image-meta', 'list', clone])).match(/conf_rbd_\w+/g) ?? [];
    t.same(await limitsOf(), ['conf_rbd_qos_iops_limit'], 'it has them from RBD');
    await life.create({ ...asDevice, name, source: { snapshot: snapshot.id }, mutable: { qosBpsLimit: '1M' } });
    t.same(await limitsOf(), ['conf_rbd_qos_bps_limit']);
  },
);

t.test('the rbd command takes the limits for its own', async (t) => {
  const life = site.life(t);
  const { id } = await life.create({ ...asDevice, mutable: { qosReadIopsLimit: '2k', qosReadIopsBurst: '3k' } });
  const options = JSON.parse(await cluster.rbd(['config', 'image', 'list', specOf(id), '--format', 'json'])) as {
    name: string;
    value: string;
    source: string;
  }[];
  const own = options.filter(({ source }) => source === 'image').map(({ name, value }) => [name, value]);
  t.same(own.sort(), [
    ['rbd_qos_read_iops_burst', '3000'],
    ['rbd_qos_read_iops_limit', '2000'],
  ]);
});
