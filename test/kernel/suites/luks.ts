import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deviceSizeBytes } from 'mount-utils-ts';
import t from 'tap';
import { blockCapability, mountCapability } from '../../harness/requests.js';
import { attachWhenFlat, headerBytes, imageOf, importImage, luksFormat, mib, secrets } from '../../integration/encrypted.js';
import { imageInfo } from '../../integration/images.js';
import { mountEntry } from '../../integration/leftovers.js';
import { refusal } from '../../integration/outcome.js';
import { Site } from '../../integration/site.js';

/*
 * dm-crypt, which a host that tests may not have: what cryptsetup and the kernel make of encrypted volumes, and that librbd's own
 * encryption, by which the userspace mapper opens them, reads the same and is read the same.
 */
t.setTimeout(580_000);

const site = await Site.open(t);
const encrypted = { backend: 'rbd', clusterID: 'default', pool: site.pool, encrypted: 'true' };
/** Deriving keys takes long where a processor is emulated. */
const patientMs = 200_000;

/** Names of the LUKS devices that are open. */
function opened(): string[] {
  const devices = readdirSync('/sys/block').filter((name) => name.startsWith('dm-'));
  const names = devices.map((name) => readFileSync(`/sys/block/${name}/dm/name`, 'utf8').trim());
  return names.filter((name) => name.startsWith('cuttle-'));
}

for (const mounter of ['krbd', 'nbd']) {
  t.test(`${mounter} with dm-crypt: formatted once, written, unstaged, staged again, grown in use`, async (t) => {
    const life = site.life(t);
    const rpc = life.rpc.within(patientMs);
    const { id, context, bytes } = await life.create({
      parameters: { ...encrypted, mounter },
      requiredBytes: 64n * mib,
    });
    t.equal(bytes, 64n * mib);
    const use = { context, secrets };
    const missing = await refusal(rpc.stage(id, site.path('stage'), { context }));
    t.equal(missing.code, 'INVALID_ARGUMENT');
    t.match(missing.message, 'encryptionPassphrase');
    const { stagingPath, targetPath } = await life.attach(id, use);
    t.match((await mountEntry(stagingPath))?.source, /^\/dev\/(?:mapper\/cuttle-|dm-)/);
    t.equal(opened().length, 1);
    await writeFile(join(targetPath, 'data'), 'kept', { flush: true });
    await rpc.stage(id, stagingPath, { context });
    t.equal(opened().length, 1, 'a repeated stage needs no passphrase and opens nothing again');
    t.match(await rpc.expand(id, 128n * mib), { bytes: 128n * mib, needsNode: true });
    await rpc.expandNode(id, targetPath, 128n * mib);
    const { blocks, bsize } = await statfs(targetPath);
    t.ok(BigInt(blocks * bsize) > 100n * mib, 'df shows the new size, without a passphrase');
    t.equal(BigInt((await imageInfo(site.cluster, `${site.pool}/${imageOf(id)}`)).size), 128n * mib + headerBytes);
    await life.detach(id, { stagingPath, targetPath });
    t.same(opened(), [], 'it is closed');
    const wrong = await refusal(
      rpc.stage(id, site.path('stage'), { context, secrets: { encryptionPassphrase: 'another one' } }),
    );
    t.equal(wrong.code, 'UNAUTHENTICATED');
    t.match(wrong.message, /the Secret's encryptionPassphrase does not open volume/);
    t.same(opened(), []);
    const again = await life.attach(id, use);
    t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), 'kept');
  });

  t.test(`a raw block volume through ${mounter} has exactly the size that was asked for`, async (t) => {
    const life = site.life(t);
    const capability = blockCapability();
    const create = { parameters: { ...encrypted, mounter }, capabilities: [capability], requiredBytes: 32n * mib };
    const { id, context } = await life.create(create);
    const { stagingPath, targetPath } = await life.attach(id, { capability, context, secrets });
    t.equal(await deviceSizeBytes(targetPath), 32n * mib);
    await life.rpc.expand(id, 64n * mib);
    await life.rpc.expandNode(id, targetPath, 64n * mib);
    t.equal(await deviceSizeBytes(targetPath), 64n * mib);
    t.equal((await life.rpc.stats(id, targetPath))[0]?.total, 64n * mib);
    await life.detach(id, { stagingPath, targetPath });
    t.same(opened(), []);
  });
}

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

t.test('clones and larger restores open with their source’s passphrase at once, and by librbd when they are flat', async (t) => {
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
});

t.test('what else is on an image is refused by both kinds of mappers, and no device stays open', async (t) => {
  const life = site.life(t);
  const plain = await importImage(site, life, 'plain', 48n * mib, (file) =>
    execFileSync('mkfs.ext4', ['-q', '-F', file]),
  );
  const unmarked = await importImage(site, life, 'unmarked', 48n * mib, (file) => {
    luksFormat(file);
  });
  for (const mounter of ['krbd', 'nbd']) {
    const asked = await refusal(life.rpc.stage(plain, site.path('s'), { context: { encrypted: 'true', mounter }, secrets }));
    t.equal(asked.code, 'FAILED_PRECONDITION');
    t.match(asked.message, /holds a ext4 file system and no LUKS header/);
    const unasked = await refusal(life.rpc.stage(unmarked, site.path('s'), { context: { mounter }, secrets }));
    t.equal(unasked.code, 'FAILED_PRECONDITION');
    t.match(unasked.message, /crypto_LUKS/);
  }
  t.same(opened(), []);
});

t.test('kill -9 at any instant of a first stage: the same request again completes it', async (t) => {
  const life = site.life(t);
  for (const mounter of ['krbd', 'nbd']) {
    for (const afterMs of [150, 900, 2_000, 3_500]) {
      const { id, context } = await life.create({ parameters: { ...encrypted, mounter }, requiredBytes: 32n * mib });
      const path = site.path('stage');
      const use = { context, secrets, path };
      const cutOff = life.stage(id, use).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await site.restart('SIGKILL');
      await cutOff;
      await completed(async () => life.stage(id, use));
      await writeFile(join(path, 'data'), 'kept', { flush: true });
      await life.unstage(id, path);
      t.same(opened(), [], `${mounter}, killed after ${afterMs} ms`);
      await life.stage(id, use);
      t.equal(await readFile(join(path, 'data'), 'utf8'), 'kept');
      await life.unstage(id, path);
    }
  }
});

t.test('a reader gets a read-only device', async (t) => {
  const life = site.life(t);
  const { id, context } = await life.create({ parameters: { ...encrypted, mounter: 'krbd' }, requiredBytes: 32n * mib });
  const capability = mountCapability('SINGLE_NODE_READER_ONLY');
  const blank = await refusal(life.rpc.stage(id, site.path('stage'), { capability, context, secrets }));
  t.match(blank.message, /blank/);
  const writer = await life.stage(id, { context, secrets });
  await writeFile(join(writer, 'data'), 'kept', { flush: true });
  await life.unstage(id, writer);
  const { targetPath } = await life.attach(id, { capability, context, secrets });
  t.equal(await readFile(join(targetPath, 'data'), 'utf8'), 'kept');
  await t.rejects(writeFile(join(targetPath, 'more'), ''), { code: 'EROFS' });
});

/** What a killed driver's programs still hold is let go of when they end: the orchestrator repeats the request until then. */
async function completed(request: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + 90_000;
  for (;;) {
    try {
      await request();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}
