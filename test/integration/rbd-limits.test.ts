import t from 'tap';
import { execa } from 'execa';
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

t.test('the rbd command takes the limits for its own', async (t) => {
  const life = site.life(t);
  const { id } = await life.create({ ...asDevice, mutable: { qosReadIopsLimit: '2k', qosReadIopsBurst: '3k' } });
  const spec = `${pool}/${id.split(':').at(-1) ?? ''}`;
  const options = JSON.parse(await cluster.rbd(['config', 'image', 'list', spec, '--format', 'json'])) as {
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
