import { execFileSync } from 'node:child_process';
import { open, readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { deviceSizeBytes } from 'mount-utils-ts';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { attachWhenFlat, headerBytes, imageOf, mib, passphrase, secrets } from './encrypted.js';
import { imageInfo } from './images.js';
import { refusal } from './outcome.js';
import { imageDaemons, Site } from './site.js';

t.setTimeout(240_000);

const site = await Site.open(t);
const { cluster, pool } = site;
const encrypted = { pool, encrypted: 'true' };
const marker = 'this sentence is not to be read in the pool';

/** The image's own bytes, as whoever can read the pool sees them. */
async function rawImage(volumeId: string): Promise<Buffer> {
  const lookUp = ['--conf', cluster.confPath, '--show-config-value', 'keyring', '-n', 'client.admin'];
  const keyring = execFileSync('ceph-conf', lookUp);
  const args = ['--conf', cluster.confPath, '--keyring', keyring.toString().trim(), 'export', '--no-progress'];
  const output = execFileSync('rbd', [...args, `${pool}/${imageOf(volumeId)}`, '-'], { maxBuffer: 1 << 30 });
  return Promise.resolve(output);
}

async function overwrite(device: string, text: string, at = 0): Promise<void> {
  const file = await open(device, 'r+');
  await file.write(Buffer.alloc(4096, text), 0, 4096, at);
  await file.sync();
  await file.close();
}

async function firstBlock(device: string): Promise<string> {
  const file = await open(device, 'r');
  const { buffer } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
  await file.close();
  return buffer.toString();
}

t.test(
  'an encrypted volume has the size that was asked for, keeps its data, and shows nothing of it in the pool',
  async (t) => {
    const life = site.life(t);
    const create = { name: 'first', parameters: encrypted, requiredBytes: 32n * mib };
    const volume = await life.create(create);
    t.equal(volume.bytes, 32n * mib);
    t.equal(BigInt((await imageInfo(cluster, `${pool}/${imageOf(volume.id)}`)).size), 32n * mib + headerBytes);
    t.equal((await life.rpc.getVolume(volume.id)).bytes, 32n * mib);
    t.equal((await life.rpc.listed()).find(({ id }) => id === volume.id)?.bytes, 32n * mib);
    t.strictSame(await life.create(create), volume, 'asked for again, it is the same');
    t.equal(volume.context.encrypted, 'true');
    const paths = await life.attach(volume.id, { context: volume.context, secrets });
    await writeFile(join(paths.targetPath, 'data'), marker.repeat(100), { flush: true });
    await life.detach(volume.id, paths);
    const raw = await rawImage(volume.id);
    t.equal(raw.toString('latin1', 0, 4), 'LUKS');
    t.notOk(raw.includes(marker));
    t.notOk(raw.includes(passphrase));
    const again = await life.attach(volume.id, { context: volume.context, secrets });
    t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), marker.repeat(100));
    await life.rpc.stage(volume.id, again.stagingPath, { context: volume.context });
    t.equal(
      (await imageDaemons(site.driver.runDir)).length,
      1,
      'a repeated stage needs no passphrase, and no second daemon',
    );
  },
);

t.test('GetCapacity takes the header off', async (t) => {
  const life = site.life(t);
  const [plain, less] = [await life.rpc.capacity({ pool }), await life.rpc.capacity(encrypted)];
  t.ok(less > 0n && less <= plain - headerBytes / 2n, `${less} of ${plain}`);
});

t.test('a raw block volume is encrypted too, and has exactly the size asked for', async (t) => {
  const life = site.life(t);
  const capability = blockCapability();
  const { id, context } = await life.create({
    parameters: encrypted,
    capabilities: [capability],
    requiredBytes: 32n * mib,
  });
  const use = { capability, context, secrets };
  const paths = await life.attach(id, use);
  t.equal(await deviceSizeBytes(paths.targetPath), 32n * mib);
  await overwrite(paths.targetPath, marker);
  await overwrite(paths.targetPath, marker, Number(32n * mib) - 4096);
  await life.detach(id, paths);
  t.notOk((await rawImage(id)).includes(marker));
  const again = await life.attach(id, use);
  t.equal(await firstBlock(again.targetPath), Buffer.alloc(4096, marker).toString());
  const [bytes] = await life.rpc.stats(id, again.targetPath);
  t.equal(bytes?.total, 32n * mib);
});

t.test('it grows in use and unused, by what was asked for, and shrinks by nothing', async (t) => {
  const life = site.life(t);
  const capability = mountCapability('SINGLE_NODE_WRITER', 'xfs');
  const create = { parameters: encrypted, capabilities: [capability], requiredBytes: 320n * mib };
  const { id, context } = await life.create(create);
  const use = { capability, context, secrets };
  const image = `${pool}/${imageOf(id)}`;
  const paths = await life.attach(id, use);
  await writeFile(join(paths.targetPath, 'data'), marker, { flush: true });
  t.match(await life.rpc.expand(id, 512n * mib), { bytes: 512n * mib, needsNode: true });
  t.equal(BigInt((await imageInfo(cluster, image)).size), 512n * mib + headerBytes);
  await life.rpc.expandNode(id, paths.targetPath, 512n * mib);
  await life.rpc.expandNode(id, paths.targetPath, 512n * mib);
  t.equal(BigInt((await imageInfo(cluster, image)).size), 512n * mib + headerBytes, 'the image has kept its size');
  const { blocks, bsize } = await statfs(paths.targetPath);
  t.ok(BigInt(blocks * bsize) > 420n * mib, 'df shows the new size');
  await writeFile(join(paths.targetPath, 'more'), Buffer.alloc(400 << 20, 'x'), { flush: true });
  await life.detach(id, paths);
  await life.rpc.expand(id, 640n * mib);
  const again = await life.attach(id, use);
  t.ok(BigInt((await statfs(again.targetPath)).blocks * bsize) > 540n * mib, 'the next stage makes up for it');
  t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), marker);
  t.ok((await readFile(join(again.targetPath, 'more'))).every((byte) => byte === 'x'.charCodeAt(0)));
  t.match(await refusal(life.rpc.expand(id, 640n * mib, 630n * mib)), { code: 'INVALID_ARGUMENT' });
  t.match(await refusal(life.rpc.expand(id, 100n * mib, 630n * mib)), { code: 'OUT_OF_RANGE' });
  t.match(await life.rpc.expand(id, 100n * mib), { bytes: 640n * mib });
});

t.test('snapshots, restores and clones have their source’s passphrase, and the size that was asked for', async (t) => {
  const life = site.life(t);
  const { id, context } = await life.create({ parameters: encrypted, requiredBytes: 32n * mib });
  const paths = await life.attach(id, { context, secrets });
  await writeFile(join(paths.targetPath, 'data'), marker, { flush: true });
  await life.detach(id, paths);
  const snapshot = await life.snapshot(id);
  t.equal(snapshot.bytes, 32n * mib);
  t.equal((await life.rpc.getSnapshot(snapshot.id)).bytes, 32n * mib);
  for (const [source, requiredBytes] of [
    [{ snapshot: snapshot.id }, 32n * mib],
    [{ volume: id }, 64n * mib],
    [{ snapshot: snapshot.id }, 96n * mib],
  ] as const) {
    const clone = await life.create({ parameters: encrypted, source, requiredBytes });
    t.equal(clone.bytes, requiredBytes);
    t.equal(BigInt((await imageInfo(cluster, `${pool}/${imageOf(clone.id)}`)).size), requiredBytes + headerBytes);
    t.equal((await life.rpc.getVolume(clone.id)).bytes, requiredBytes);
    const there = await attachWhenFlat(life, clone.id, { context: clone.context, secrets });
    t.equal(await readFile(join(there.targetPath, 'data'), 'utf8'), marker);
    await writeFile(join(there.targetPath, 'data'), 'of the clone', { flush: true });
    const { blocks, bsize } = await statfs(there.targetPath);
    t.ok(BigInt(blocks * bsize) > (requiredBytes * 7n) / 10n, 'its file system covers it');
    await life.detach(clone.id, there);
    const again = await life.attach(clone.id, { context: clone.context, secrets });
    t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), 'of the clone');
    await life.detach(clone.id, again);
  }
  const source = await life.attach(id, { context, secrets });
  t.equal(await readFile(join(source.targetPath, 'data'), 'utf8'), marker);
});

t.test('a clone is encrypted as its source is: anything else is refused by the parameter’s name', async (t) => {
  const life = site.life(t);
  const requiredBytes = 32n * mib;
  for (const [parameters, others, word] of [
    [encrypted, { pool }, /parameter encrypted is "false" and the source .* is encrypted/],
    [{ pool }, encrypted, /parameter encrypted is "true" and the source .* is not encrypted/],
  ] as const) {
    const volume = await life.create({ parameters, requiredBytes });
    const snapshot = await life.snapshot(volume.id);
    for (const source of [{ volume: volume.id }, { snapshot: snapshot.id }]) {
      const { code, message } = await refusal(life.create({ parameters: others, requiredBytes, source }));
      t.equal(code, 'INVALID_ARGUMENT');
      t.match(message, word);
    }
  }
  const name = 'as-asked-first';
  await life.create({ name, parameters: encrypted, requiredBytes });
  const { code, message } = await refusal(life.create({ name, parameters: { pool }, requiredBytes }));
  t.equal(code, 'ALREADY_EXISTS');
  t.match(message, 'parameter encrypted was "true"');
});

t.test('what a layout with larger objects takes for the header is added as well', async (t) => {
  const life = site.life(t);
  const parameters = { ...encrypted, objectSize: '33554432' };
  const { id, context, bytes } = await life.create({ parameters, requiredBytes: 40n * mib });
  t.equal(bytes, 40n * mib);
  t.equal(BigInt((await imageInfo(cluster, `${pool}/${imageOf(id)}`)).size), 72n * mib);
  const capability = blockCapability();
  const { targetPath } = await life.attach(id, { capability, context, secrets });
  t.equal(await deviceSizeBytes(targetPath), 40n * mib);
});
