import { execFileSync } from 'node:child_process';
import { readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deviceSizeBytes } from 'mount-utils-ts';
import t, { type Test } from 'tap';
import { blockCapability, mountCapability } from '../../harness/requests.js';
import {
  headerBytes,
  imageOf,
  importImage,
  luksFormat,
  mib,
  openDevices,
  secrets,
} from '../../integration/encrypted.js';
import { imageInfo } from '../../integration/images.js';
import { mountEntry } from '../../integration/leftovers.js';
import { refusal } from '../../integration/outcome.js';
import { Site } from '../../integration/site.js';

/*
 * dm-crypt, which the host may not have: what cryptsetup and the kernel make of encrypted volumes.
 */
t.setTimeout(580_000);

const site = await Site.open(t);
const encrypted = { backend: 'rbd', clusterID: 'default', pool: site.pool, encrypted: 'true' };
/** Deriving keys takes long where a processor is emulated. */
const patientMs = 240_000;
const patient = (t: Test) => site.life(t, undefined, patientMs);

for (const mounter of ['krbd', 'nbd']) {
  t.test(`${mounter} with dm-crypt: formatted once, written, unstaged, staged again, grown in use`, async (t) => {
    const life = patient(t);
    const rpc = life.rpc;
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
    t.equal(openDevices().length, 1);
    await writeFile(join(targetPath, 'data'), 'kept', { flush: true });
    await rpc.stage(id, stagingPath, { context });
    t.equal(openDevices().length, 1, 'a repeated stage needs no passphrase and opens nothing again');
    t.match(await rpc.expand(id, 128n * mib), { bytes: 128n * mib, needsNode: true });
    await rpc.expandNode(id, targetPath, 128n * mib);
    const { blocks, bsize } = await statfs(targetPath);
    t.ok(BigInt(blocks * bsize) > 100n * mib, 'df shows the new size, without a passphrase');
    t.equal(BigInt((await imageInfo(site.cluster, `${site.pool}/${imageOf(id)}`)).size), 128n * mib + headerBytes);
    await life.detach(id, { stagingPath, targetPath });
    t.same(openDevices(), [], 'it is closed');
    const wrong = await refusal(
      rpc.stage(id, site.path('stage'), { context, secrets: { encryptionPassphrase: 'another one' } }),
    );
    t.equal(wrong.code, 'UNAUTHENTICATED');
    t.match(wrong.message, /the Secret's encryptionPassphrase does not open volume/);
    t.same(openDevices(), []);
    const again = await life.attach(id, use);
    t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), 'kept');
  });

  t.test(`a raw block volume through ${mounter} has exactly the size that was asked for`, async (t) => {
    const life = patient(t);
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
    t.same(openDevices(), []);
  });
}

t.test('what else is on an image is refused by both kinds of mappers, and no device stays open', async (t) => {
  const life = patient(t);
  const plain = await importImage(site, life, 'plain', 48n * mib, (file) =>
    execFileSync('mkfs.ext4', ['-q', '-F', file]),
  );
  const unmarked = await importImage(site, life, 'unmarked', 48n * mib, (file) => {
    luksFormat(file);
  });
  for (const mounter of ['krbd', 'nbd']) {
    const asked = await refusal(
      life.rpc.stage(plain, site.path('s'), { context: { encrypted: 'true', mounter }, secrets }),
    );
    t.equal(asked.code, 'FAILED_PRECONDITION');
    t.match(asked.message, /holds a ext4 file system and no LUKS header/);
    const unasked = await refusal(life.rpc.stage(unmarked, site.path('s'), { context: { mounter }, secrets }));
    t.equal(unasked.code, 'FAILED_PRECONDITION');
    t.match(unasked.message, /crypto_LUKS/);
  }
  t.same(openDevices(), []);
});

t.test('a reader gets a read-only device', async (t) => {
  const life = patient(t);
  const { id, context } = await life.create({
    parameters: { ...encrypted, mounter: 'krbd' },
    requiredBytes: 32n * mib,
  });
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
