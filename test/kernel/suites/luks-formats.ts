import { readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { attachWhenFlat, imageOf, importImage, mib, secrets } from '../../integration/encrypted.js';
import { mountEntry } from '../../integration/leftovers.js';
import { refusal } from '../../integration/outcome.js';
import { Site } from '../../integration/site.js';

/* dm-crypt and librbd's own encryption, by which the userspace mapper opens volumes, on the same images. */
t.setTimeout(580_000);

const site = await Site.open(t);
const encrypted = { backend: 'rbd', clusterID: 'default', pool: site.pool, encrypted: 'true' };

t.test('dm-crypt and librbd read and write the same, whichever of them was first', async (t) => {
  const life = site.life(t);
  for (const order of [
    ['krbd', 'userspace', 'nbd', 'userspace', 'krbd'],
    ['userspace', 'krbd', 'userspace', 'nbd'],
  ]) {
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
  }
});

t.test('an image that "rbd encryption format" has made is opened by both', async (t) => {
  const life = site.life(t);
  const id = await importImage(site, life, 'by-librbd', 48n * mib, () => undefined);
  const file = await life.file('passphrase', secrets.encryptionPassphrase);
  await site.cluster.rbd(['encryption', 'format', `${site.pool}/by-librbd`, 'luks2', file]);
  for (const mounter of ['krbd', 'userspace', 'nbd']) {
    const stagingPath = await life.stage(id, { context: { encrypted: 'true', mounter }, secrets });
    await writeFile(join(stagingPath, mounter), mounter, { flush: true });
    for (const earlier of ['krbd', mounter])
      t.equal(await readFile(join(stagingPath, earlier), 'utf8'), earlier, `${earlier} by ${mounter}`);
    await life.unstage(id, stagingPath);
  }
  t.equal((await life.rpc.getVolume(id)).bytes, 32n * mib, 'what the header takes is known from then on');
});

t.test(
  'clones and larger restores open with their source’s passphrase at once, and by librbd when they are flat',
  async (t) => {
    const life = site.life(t);
    const parameters = { ...encrypted, mounter: 'krbd' };
    const source = await life.create({ parameters, requiredBytes: 32n * mib });
    const first = await life.stage(source.id, { context: source.context, secrets });
    await writeFile(join(first, 'data'), 'source', { flush: true });
    await life.unstage(source.id, first);
    const snapshot = await life.snapshot(source.id);
    for (const [from, requiredBytes] of [
      [{ volume: source.id }, 32n * mib],
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
      t.ok(BigInt(blocks * bsize) > (requiredBytes * 7n) / 10n);
      await writeFile(join(there, 'data'), 'clone', { flush: true });
      await life.unstage(clone.id, there);
      await site.cluster.rbd(['flatten', '--no-progress', `${site.pool}/${imageOf(clone.id)}`]);
      const paths = await attachWhenFlat(life, clone.id, byLibrbd);
      t.equal(await readFile(join(paths.targetPath, 'data'), 'utf8'), 'clone');
      await life.detach(clone.id, paths);
    }
  },
);
