import { readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { attachWhenFlat, imageOf, importImage, luksFormat, mib, secrets } from '../../integration/encrypted.js';
import { mountEntry } from '../../integration/leftovers.js';
import { refusal } from '../../integration/outcome.js';
import { Site } from '../../integration/site.js';

/* dm-crypt and librbd's own encryption, by which the userspace mapper opens volumes, on the same images. */
t.setTimeout(580_000);

const site = await Site.open(t);
const encrypted = { backend: 'rbd', clusterID: 'default', pool: site.pool, encrypted: 'true' };
/** Deriving keys takes long where a processor is emulated. */
const patientMs = 240_000;
const patient = (t: Test) => site.life(t, undefined, patientMs);

for (const order of [
  ['krbd', 'userspace', 'nbd', 'userspace'],
  ['userspace', 'krbd', 'userspace'],
]) {
  t.test(`what is formatted by way of ${order.join(', then used by ')} is the same to all of them`, async (t) => {
    const life = patient(t);
    const { id, context } = await life.create({ parameters: encrypted, requiredBytes: 32n * mib });
    const written: string[] = [];
    for (const [i, mounter] of order.entries()) {
      const stagingPath = await life.stage(id, { context: { ...context, mounter }, secrets });
      const source = (await mountEntry(stagingPath))?.source ?? '';
      t.match(source, mounter === 'userspace' ? /^\/dev\/loop/ : /^\/dev\/(?:mapper|dm-)/, mounter);
      for (const earlier of written) t.equal(await readFile(join(stagingPath, earlier), 'utf8'), earlier.repeat(5_000));
      const name = `${i}-${mounter}`;
      await writeFile(join(stagingPath, name), name.repeat(5_000), { flush: true });
      written.push(name);
      await life.unstage(id, stagingPath);
    }
  });
}

t.test(
  'clones open with their source’s passphrase at once by dm-crypt, and by librbd when they are flat',
  async (t) => {
    const life = patient(t);
    const parameters = { ...encrypted, mounter: 'krbd' };
    const source = await importImage(site, life, 'source', 48n * mib, (file) => {
      luksFormat(file);
    });
    const first = await life.stage(source, { context: { encrypted: 'true', mounter: 'krbd' }, secrets });
    await writeFile(join(first, 'data'), 'source', { flush: true });
    await life.unstage(source, first);
    const snapshot = await life.snapshot(source);
    for (const [from, requiredBytes] of [
      [{ volume: source }, 32n * mib],
      [{ snapshot: snapshot.id }, 80n * mib],
    ] as const) {
      const clone = await life.create({ parameters, source: from, requiredBytes });
      t.equal(clone.bytes, requiredBytes);
      const byLibrbd = { context: { ...clone.context, mounter: 'userspace' }, secrets };
      const early = await refusal(life.rpc.stage(clone.id, site.path('stage'), byLibrbd));
      t.equal(early.code, 'FAILED_PRECONDITION');
      t.match(early.message, /encrypted clone.*krbd and nbd/);
      const there = await life.stage(clone.id, { context: clone.context, secrets });
      t.equal(await readFile(join(there, 'data'), 'utf8'), 'source');
      const { blocks, bsize } = await statfs(there);
      t.ok(BigInt(blocks * bsize) > (requiredBytes * 7n) / 10n, 'its file system covers it');
      await writeFile(join(there, 'data'), 'clone', { flush: true });
      await life.unstage(clone.id, there);
      await site.cluster.rbd(['flatten', '--no-progress', `${site.pool}/${imageOf(clone.id)}`]);
      const paths = await attachWhenFlat(life, clone.id, byLibrbd);
      t.equal(await readFile(join(paths.targetPath, 'data'), 'utf8'), 'clone');
      await life.detach(clone.id, paths);
    }
  },
);
