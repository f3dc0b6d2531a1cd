import { execFileSync } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { attachWhenFlat, imageOf, importImage, luksFormat, mib, passphrase, secrets } from './encrypted.js';
import { imageDigest, imageInfo, rados } from './images.js';
import { mountEntry } from './leftovers.js';
import { refusal } from './outcome.js';
import { imageDaemons, Site } from './site.js';

t.setTimeout(240_000);

const site = await Site.open(t);
const { cluster, pool } = site;
const create = { parameters: { pool, encrypted: 'true' }, requiredBytes: 32n * mib };
const imageBytes = 48n * mib;
const context = { encrypted: 'true' };

t.test(
  'a missing and a wrong passphrase are told apart by the name of the Secret’s entry, and change nothing',
  async (t) => {
    const life = site.life(t);
    const { id } = await life.create(create);
    const path = site.path('stage');
    const blank = await imageDigest(cluster, `${pool}/${imageOf(id)}`);
    for (const none of [{}, { encryptionPassphrase: '' }, { encryptionPassphrase: '\n' }]) {
      const { code, message } = await refusal(life.rpc.stage(id, path, { context, secrets: none }));
      t.equal(code, 'INVALID_ARGUMENT');
      t.match(message, /the Secret has no encryptionPassphrase.*node-stage-secret-name/);
    }
    t.equal(await imageDigest(cluster, `${pool}/${imageOf(id)}`), blank, 'nothing was formatted without it');
    const paths = await life.attach(id, { context, secrets });
    await writeFile(join(paths.targetPath, 'data'), 'kept', { flush: true });
    await life.detach(id, paths);
    const before = await imageDigest(cluster, `${pool}/${imageOf(id)}`);
    const wrong = await refusal(
      life.rpc.stage(id, path, { context, secrets: { encryptionPassphrase: `${passphrase}.` } }),
    );
    t.equal(wrong.code, 'UNAUTHENTICATED');
    t.match(wrong.message, /the Secret's encryptionPassphrase does not open volume/);
    t.notOk(wrong.message.includes(passphrase));
    t.same(await imageDaemons(site.driver.runDir), [], 'it is not left mapped');
    t.equal(await mountEntry(path), undefined);
    t.equal(await imageDigest(cluster, `${pool}/${imageOf(id)}`), before);
    const lineEnd = await life.attach(id, { secrets: { encryptionPassphrase: `${passphrase}\r\n` } });
    t.equal(
      await readFile(join(lineEnd.targetPath, 'data'), 'utf8'),
      'kept',
      'a line end is cut off; the image alone says enough',
    );
  },
);

t.test(
  'a plain file system on a volume that is to be encrypted is refused, and not one byte of it changes',
  async (t) => {
    const life = site.life(t);
    const id = await importImage(site, life, 'plain', imageBytes, (file) =>
      execFileSync('mkfs.ext4', ['-q', '-F', file]),
    );
    const before = await imageDigest(cluster, `${pool}/plain`);
    for (const capability of [mountCapability(), blockCapability()]) {
      const { code, message } = await refusal(life.rpc.stage(id, site.path('stage'), { context, secrets, capability }));
      t.equal(code, 'FAILED_PRECONDITION');
      t.match(message, /image .*plain belongs to an encrypted volume and holds a ext4 file system/);
    }
    t.equal(await imageDigest(cluster, `${pool}/plain`), before);
  },
);

t.test(
  'a LUKS header on a volume that is not encrypted is refused; told that it is, it is opened and its size known',
  async (t) => {
    const life = site.life(t);
    const id = await importImage(site, life, 'by-hand', imageBytes, (file) => {
      luksFormat(file);
    });
    const before = await imageDigest(cluster, `${pool}/by-hand`);
    const { code, message } = await refusal(life.rpc.stage(id, site.path('stage'), { secrets }));
    t.equal(code, 'FAILED_PRECONDITION');
    t.match(message, 'crypto_LUKS');
    t.equal(await imageDigest(cluster, `${pool}/by-hand`), before);
    const paths = await life.attach(id, { context, secrets });
    await writeFile(join(paths.targetPath, 'data'), 'adopted', { flush: true });
    await life.detach(id, paths);
    t.equal((await life.rpc.getVolume(id)).bytes, 32n * mib);
    t.match(await life.rpc.expand(id, 64n * mib), { bytes: 64n * mib });
    const again = await life.attach(id, { secrets });
    t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), 'adopted');
    await life.detach(id, again);
    const clone = await life.create({ ...create, source: { volume: id }, requiredBytes: 64n * mib });
    const there = await attachWhenFlat(life, clone.id, { context, secrets });
    t.equal(await readFile(join(there.targetPath, 'data'), 'utf8'), 'adopted');
  },
);

t.test('an image that "rbd encryption format" has made is adopted', async (t) => {
  const life = site.life(t);
  const id = await importImage(site, life, 'by-librbd', imageBytes, () => undefined);
  await cluster.rbd(['encryption', 'format', `${pool}/by-librbd`, 'luks2', await life.file('passphrase', passphrase)]);
  const paths = await life.attach(id, { context, secrets });
  await writeFile(join(paths.targetPath, 'data'), 'adopted', { flush: true });
  await life.detach(id, paths);
  t.equal((await life.rpc.getVolume(id)).bytes, 32n * mib);
  const again = await life.attach(id, { secrets });
  t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), 'adopted');
});

t.test(
  'a luksFormat that was cut off before it had made a key is begun anew; a header that others made is not',
  async (t) => {
    const life = site.life(t);
    const withoutKey = (file: string): void => {
      luksFormat(file);
      execFileSync('cryptsetup', ['luksErase', '-q', file]);
    };
    const id = await importImage(site, life, 'cut-off', imageBytes, withoutKey);
    const paths = await life.attach(id, { context, secrets });
    await writeFile(join(paths.targetPath, 'data'), 'x');
    await life.detach(id, paths);
    t.equal((await site.logged('whose LUKS header has no key')).length, 1);
    const wiped = await importImage(site, life, 'erased', imageBytes, withoutKey);
    await cluster.rbd(['image-meta', 'set', `${pool}/erased`, '.cuttle.formatted', 'ext4']);
    const before = await imageDigest(cluster, `${pool}/erased`);
    const { code, message } = await refusal(life.rpc.stage(wiped, site.path('stage'), { context, secrets }));
    t.equal(code, 'FAILED_PRECONDITION');
    t.match(message, /was formatted ext4 by Cuttle before/);
    t.equal(await imageDigest(cluster, `${pool}/erased`), before);
  },
);

t.test(
  'an encrypted volume whose header was wiped is not formatted again, nor is what was formatted in it',
  async (t) => {
    const life = site.life(t);
    const { id } = await life.create(create);
    const paths = await life.attach(id, { context, secrets });
    await life.detach(id, paths);
    const inner = await life.attach(id, { context, secrets, capability: blockCapability() });
    await overwrite(inner.targetPath, Buffer.alloc(1 << 20));
    await life.detach(id, inner);
    const blank = await refusal(life.rpc.stage(id, site.path('stage'), { context, secrets }));
    t.equal(blank.code, 'FAILED_PRECONDITION');
    t.match(blank.message, /was formatted ext4 by Cuttle before and shows no file system now/);
    const image = imageOf(id);
    const { id: imageId } = await imageInfo(cluster, `${pool}/${image}`);
    await rados(cluster, pool, ['rm', `rbd_data.${imageId}.${'0'.repeat(16)}`]);
    const before = await imageDigest(cluster, `${pool}/${image}`);
    const { code, message } = await refusal(life.rpc.stage(id, site.path('stage'), { context, secrets }));
    t.equal(code, 'FAILED_PRECONDITION');
    t.match(message, /was formatted ext4 by Cuttle before and shows no LUKS header now/);
    t.equal(await imageDigest(cluster, `${pool}/${image}`), before);
  },
);

t.test('encrypted takes true and false, and is refused by name for CephFS', async (t) => {
  const life = site.life(t);
  const odd = await refusal(life.create({ parameters: { pool, encrypted: 'yes' } }));
  t.equal(odd.code, 'INVALID_ARGUMENT');
  t.match(odd.message, /parameter encrypted is "yes": write "true" or "false"/);
  const cephfs = { backend: 'cephfs', fsName: cluster.fsName, encrypted: 'true' };
  const capability = mountCapability('MULTI_NODE_MULTI_WRITER', '');
  const other = await refusal(life.create({ parameters: cephfs, capabilities: [capability] }));
  t.equal(other.code, 'INVALID_ARGUMENT');
  t.match(other.message, /encrypted is for backend "rbd"/);
});

async function overwrite(device: string, bytes: Uint8Array): Promise<void> {
  const file = await open(device, 'r+');
  await file.write(bytes, 0, bytes.length, 0);
  await file.sync();
  await file.close();
}
