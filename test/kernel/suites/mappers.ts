import { open, readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { blockCapability, mountCapability } from '../../harness/requests.js';
import { mountEntry } from '../../integration/leftovers.js';
import { outcomeOf } from '../../integration/outcome.js';
import { Site } from '../../integration/site.js';

const site = await Site.open(t);
const plain = { backend: 'rbd', clusterID: 'default', pool: site.pool };
const by = (mounter: string, context: Readonly<Record<string, string>>) => ({ context: { ...context, mounter } });
const gib = 1n << 30n;

async function startOf(device: string, length: number): Promise<string> {
  const file = await open(device, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, 0);
    return buffer.toString();
  } finally {
    await file.close();
  }
}

t.test('what one mapper has written the next one reads', async (t) => {
  const life = site.life(t);
  const { id, context } = await life.create({ parameters: plain });
  const devices: Readonly<Record<string, RegExp>> = {
    krbd: /^\/dev\/rbd[0-9]+$/,
    nbd: /^\/dev\/nbd[0-9]+$/,
    userspace: /^\/dev\/loop[0-9]+$/,
  };
  const written: string[] = [];
  for (const [mounter, device] of Object.entries(devices)) {
    const stagingPath = await life.stage(id, by(mounter, context));
    t.match((await mountEntry(stagingPath))?.source, device);
    for (const earlier of written) t.equal(await readFile(join(stagingPath, earlier), 'utf8'), earlier);
    await writeFile(join(stagingPath, mounter), mounter, { flush: true });
    written.push(mounter);
    await life.unstage(id, stagingPath);
  }
});

for (const fsType of ['ext4', 'xfs']) {
  for (const mounter of ['krbd', 'nbd']) {
    t.test(`${fsType} grows in use through ${mounter}`, async (t) => {
      const life = site.life(t);
      const capability = mountCapability('SINGLE_NODE_WRITER', fsType);
      const { id, context } = await life.create({ parameters: { ...plain, mounter }, capabilities: [capability] });
      const { targetPath } = await life.attach(id, { capability, context });
      await writeFile(join(targetPath, 'data'), 'before');
      await life.rpc.expand(id, 2n * gib);
      await life.rpc.expandNode(id, targetPath);
      const { blocks, bsize } = await statfs(targetPath);
      t.ok(BigInt(blocks) * BigInt(bsize) > (gib * 19n) / 10n, 'df shows the new size');
      t.equal(await readFile(join(targetPath, 'data'), 'utf8'), 'before');
    });
  }
}

t.test('a clone is mapped by the kernel and has its source’s data; neither sees what the other writes', async (t) => {
  const life = site.life(t);
  const parameters = { ...plain, mounter: 'krbd' };
  const source = await life.create({ parameters });
  const first = await life.stage(source.id, { context: source.context });
  await writeFile(join(first, 'data'), 'source', { flush: true });
  await life.unstage(source.id, first);
  const clone = await life.create({ parameters, source: { volume: source.id } });
  const second = await life.stage(clone.id, { context: clone.context });
  t.equal(await readFile(join(second, 'data'), 'utf8'), 'source');
  await writeFile(join(second, 'data'), 'clone', { flush: true });
  const again = await life.stage(source.id, { context: source.context });
  t.equal(await readFile(join(again, 'data'), 'utf8'), 'source');
});

t.test('images with what this kernel knows are mapped by it, and a raw block device grows in use', async (t) => {
  const life = site.life(t);
  const dataPool = `${site.pool}-data`;
  await site.cluster.createPool(dataPool);
  t.teardown(async () => site.cluster.deletePool(dataPool));
  const features = {
    'layering alone': { imageFeatures: 'layering' },
    'all that librbd makes by default': {},
    'a pool for the data, and stripes': { dataPool, stripeUnit: '65536', stripeCount: '4', objectSize: '1048576' },
  };
  const { capability, options } = { capability: blockCapability(), options: { mounter: 'krbd' } };
  for (const [name, parameters] of Object.entries(features)) {
    const asked = { parameters: { ...plain, ...options, ...parameters }, capabilities: [capability] };
    const { id, context } = await life.create(asked);
    const { targetPath } = await life.attach(id, { capability, context });
    const text = `written with ${name}`;
    await writeFile(targetPath, text, { flag: 'r+', flush: true });
    await life.rpc.expand(id, 2n * gib);
    await life.rpc.expandNode(id, targetPath);
    t.equal((await life.rpc.stats(id, targetPath))[0]?.total, 2n * gib, `${name}: the device has grown`);
    t.equal(await startOf(targetPath, text.length), text);
  }
});

t.test('an image feature that the kernel lacks: "auto" moves on and says why, "krbd" names it', async (t) => {
  const life = site.life(t);
  const parameters = { ...plain, imageFeatures: 'layering,exclusive-lock,journaling' };
  const { id, context } = await life.create({ parameters });
  const refused = await outcomeOf(life.rpc.stage(id, site.path('stage'), by('krbd', context)));
  t.equal(refused.code, 'FAILED_PRECONDITION');
  t.match(refused.message, /journaling.*imageFeatures/);
  const stagingPath = await life.stage(id, by('auto', context));
  t.match((await mountEntry(stagingPath))?.source, /^\/dev\/nbd[0-9]+$/);
  t.equal((await site.logged('journaling')).length > 0, true, 'the log says why krbd was passed over');
});

t.test('a reader gets a read-only device', async (t) => {
  const life = site.life(t);
  const { id, context } = await life.create({ parameters: { ...plain, mounter: 'krbd' } });
  const writer = await life.stage(id, { context });
  await writeFile(join(writer, 'data'), 'kept', { flush: true });
  await life.unstage(id, writer);
  const capability = mountCapability('SINGLE_NODE_READER_ONLY');
  const { targetPath } = await life.attach(id, { capability, context });
  t.equal(await readFile(join(targetPath, 'data'), 'utf8'), 'kept');
  await t.rejects(writeFile(join(targetPath, 'more'), ''), { code: 'EROFS' });
  const device = (await mountEntry(targetPath))?.source ?? '';
  t.equal((await readFile(`/sys/class/block/${device.replace('/dev/', '')}/ro`, 'utf8')).trim(), '1');
});
