import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import t from 'tap';
import { mountCapability } from '../harness/requests.js';
import { eventually, imageInfo } from './images.js';
import { mountEntry } from './leftovers.js';
import type { Volume } from './answers.js';
import { outcomeOf, refusal } from './outcome.js';
import { Site } from './site.js';

t.setTimeout(120_000);

const site = await Site.open(t);
const { cluster, pool } = site;
const requiredBytes = 32n << 20n;

function specOf(volume: Volume): string {
  return `${pool}/${volume.id.split(':').at(-1) ?? ''}`;
}

t.test('imageFeatures are the features of the image, and the default ones are those of Ceph', async (t) => {
  const life = site.life(t);
  const few = await life.create({ parameters: { pool, imageFeatures: 'layering' }, requiredBytes });
  t.same((await imageInfo(cluster, specOf(few))).features, ['layering']);
  const usual = await life.create({ parameters: { pool }, requiredBytes });
  const wanted = ['layering', 'exclusive-lock', 'object-map', 'fast-diff', 'deep-flatten'];
  t.same((await imageInfo(cluster, specOf(usual))).features, wanted);
  const { targetPath } = await life.attach(few.id, { context: few.context });
  await writeFile(join(targetPath, 'works'), 'x');
});

t.test('dataPool, objectSize, stripeUnit and stripeCount are those of the image, and it works', async (t) => {
  const dataPool = `${pool}-data`;
  await cluster.createPool(dataPool);
  t.teardown(async () => cluster.deletePool(dataPool));
  const life = site.life(t);
  const parameters = { pool, dataPool, objectSize: '1048576', stripeUnit: '65536', stripeCount: '4' };
  const volume = await life.create({ parameters, requiredBytes });
  const info = await imageInfo(cluster, specOf(volume));
  t.match(info, { size: Number(requiredBytes), order: 20, stripe_unit: 65536, stripe_count: 4, data_pool: dataPool });
  // The pool is new: the manager has its figures a moment later.
  const hasRoom = async () => (await outcomeOf(life.rpc.capacity(parameters))).code === 'OK';
  t.ok(await eventually(hasRoom, 20_000));
  t.ok((await life.rpc.capacity(parameters)) > 0n);
  const paths = await life.attach(volume.id);
  await writeFile(join(paths.targetPath, 'data'), Buffer.alloc(1 << 20, 'x'));
  execFileSync('sync', ['-f', paths.targetPath]);
  await life.detach(volume.id, paths);
});

for (const [parameters, word] of [
  [{ imageFeatures: 'layering,fast-diff' }, /fast-diff.*object-map/],
  [{ imageFeatures: 'sparkle' }, /sparkle/],
  [{ objectSize: '5000000' }, /power of two/],
  [{ stripeUnit: '65536' }, /stripeCount/],
  [{ stripeUnit: '65537', stripeCount: '2' }, /divide/],
  [{ mounter: 'carrier-pigeon' }, /mounter/],
  [{ pool: 'a/b' }, /pool/],
  [{ imageFormat: '2' }, /older Ceph plugin/],
  [{ imageFeature: 'layering' }, /imageFeatures/],
  [{ poool: 'x' }, /did you mean "pool"/],
] as const) {
  t.test(`the parameters ${JSON.stringify(parameters)} are refused in words`, async (t) => {
    const { code, message } = await refusal(site.life(t).create({ parameters: { pool, ...parameters } }));
    t.equal(code, 'INVALID_ARGUMENT');
    t.match(message, word);
  });
}

t.test('mkfsOptions reach mkfs.ext4', async (t) => {
  const life = site.life(t);
  const parameters = { pool, mkfsOptions: '-L from-class  -O ^metadata_csum -m 7' };
  const volume = await life.create({ parameters, requiredBytes });
  const path = await life.stage(volume.id, { context: volume.context });
  const device = deviceOf(path);
  const superblock = execFileSync('tune2fs', ['-l', device], { encoding: 'utf8' });
  t.match(superblock, /volume name: +from-class/);
  t.notMatch(superblock, /metadata_csum/);
});

t.test('mkfsOptions reach mkfs.xfs, and options that it refuses come back in words', async (t) => {
  const life = site.life(t);
  const capability = mountCapability('SINGLE_NODE_WRITER', 'xfs');
  const xfs = { requiredBytes: 304n << 20n, capabilities: [capability] };
  const good = await life.create({ ...xfs, parameters: { pool, mkfsOptions: '-L from-class' } });
  const path = await life.stage(good.id, { capability, context: good.context });
  t.equal((await mountEntry(path))?.fsType, 'xfs');
  t.equal(execFileSync('xfs_admin', ['-l', deviceOf(path)], { encoding: 'utf8' }).trim(), 'label = "from-class"');
  const bad = await life.create({ ...xfs, parameters: { pool, mkfsOptions: '-b size=3' } });
  const { code, message } = await refusal(life.stage(bad.id, { capability, context: bad.context }));
  t.equal(code, 'INTERNAL');
  t.match(message, /mkfs\.xfs/);
  const corrected = await life.stage(bad.id, { capability });
  t.equal((await mountEntry(corrected))?.fsType, 'xfs', 'without them the same volume is formatted');
});

function deviceOf(path: string): string {
  return execFileSync('findmnt', ['-no', 'SOURCE', path], { encoding: 'utf8' }).trim();
}

t.test('mount flags are in force at the staging path and at the target', async (t) => {
  const life = site.life(t);
  const { id } = await life.create({ parameters: { pool }, requiredBytes });
  const capability = mountCapability('SINGLE_NODE_WRITER', 'ext4', ['noatime', 'commit=33', 'nosuid']);
  const { stagingPath, targetPath } = await life.attach(id, { capability });
  for (const path of [stagingPath, targetPath]) {
    const options = (await mountEntry(path))?.options ?? [];
    for (const option of ['noatime', 'commit=33', 'nosuid']) t.ok(options.includes(option), `${option} at ${path}`);
  }
});

t.test('mount flags that are none, that smuggle or that carry a secret are refused', async (t) => {
  const life = site.life(t);
  const { id } = await life.create({ parameters: { pool }, requiredBytes });
  for (const flag of ['a,b', '-o', '', 'no atime', 'secret=AQAB', 'password=x']) {
    const capability = mountCapability('SINGLE_NODE_WRITER', 'ext4', [flag]);
    const { code, message } = await refusal(life.stage(id, { capability }));
    t.equal(code, 'INVALID_ARGUMENT', JSON.stringify(flag));
    t.notMatch(message, 'AQAB');
  }
  const unknown = mountCapability('SINGLE_NODE_WRITER', 'ext4', ['no-such-flag']);
  const { message } = await refusal(life.stage(id, { capability: unknown }));
  t.match(message, /no-such-flag|mount/);
  await life.stage(id);
});
