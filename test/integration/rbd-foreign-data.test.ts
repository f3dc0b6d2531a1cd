import { execFileSync } from 'node:child_process';
import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { formatVolumeId } from '../../src/domain/volume-id.js';
import { blockCapability, mountCapability, type NodeOptions } from '../harness/requests.js';
import { imageDaemons, Site } from './site.js';
import { imageDigest } from './images.js';
import { mountEntry } from './leftovers.js';
import { refusal } from './outcome.js';

t.setTimeout(120_000);

const site = await Site.open(t);
const { cluster, pool } = site;
const imageBytes = 16 << 20;

/** Bytes at an offset of an otherwise empty disk. */
function signature(...parts: [offset: number, bytes: string | number[]][]): (file: string) => Promise<void> {
  return async (file) => {
    const disk = await open(file, 'r+');
    for (const [offset, bytes] of parts)
      await disk.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes), 0, null, offset);
    await disk.close();
  };
}

function program(name: string, args: string[], input = ''): (file: string) => Promise<void> {
  return async (file) => {
    execFileSync(name, [...args, file], { input, stdio: ['pipe', 'ignore', 'ignore'] });
    return Promise.resolve();
  };
}

const ntfsBootSector: [number, string | number[]][] = [
  [0, [0xeb, 0x52, 0x90, ...Buffer.from('NTFS    '), 0, 2, 8]],
  [21, [0xf8]],
  [40, [0xff, 0x7f, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0xf6, 0, 0, 0, 1, 0, 0, 0]],
  [510, [0x55, 0xaa]],
  [4 * 4096, 'FILE'],
];

/** What a disk may hold that is not ours to format, and the word that the refusal says of it. */
const foreign: readonly { what: string; word: RegExp; make: (file: string) => Promise<void>; fsType?: string }[] = [
  { what: 'ext2', word: /ext2/, make: program('mkfs.ext2', ['-q', '-F']) },
  { what: 'btrfs', word: /btrfs/, make: signature([0x10040, '_BHRfS_M'], [0x10090, [0, 16, 0, 0, 0, 64, 0, 0]]) },
  { what: 'NTFS', word: /ntfs|dos/, make: signature(...ntfsBootSector) },
  { what: 'LUKS', word: /crypto_LUKS/, make: signature([0, [...Buffer.from('LUKS'), 0xba, 0xbe, 0, 1]]) },
  { what: 'swap', word: /swap/, make: program('mkswap', []) },
  { what: 'LVM', word: /LVM2_member/, make: lvmLabel },
  { what: 'an MBR partition table', word: /dos/, make: program('sfdisk', ['--label', 'dos'], 'size=4M,type=83\n') },
  { what: 'a GPT partition table', word: /gpt/, make: program('sfdisk', ['--label', 'gpt'], 'size=4M\n') },
  { what: 'ext4 where xfs is asked for', word: /ext4/, make: program('mkfs.ext4', ['-q', '-F']), fsType: 'xfs' },
];

/** LVM2's label in sector 1, with the checksum that blkid looks at (lvm2, lib/misc/crc.c). */
async function lvmLabel(file: string): Promise<void> {
  const sector = Buffer.alloc(512);
  sector.write('LABELONE', 0);
  sector.writeBigUInt64LE(1n, 8);
  sector.writeUInt32LE(32, 20);
  sector.write('LVM2 001', 24);
  sector.write('0123456789abcdefghijklmnopqrstuv', 32);
  let crc = 0xf597a6cf;
  for (const byte of sector.subarray(20)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  sector.writeUInt32LE(crc >>> 0, 16);
  await signature([512, [...sector]])(file);
}

async function importDisk(
  life: ReturnType<Site['life']>,
  name: string,
  make: (file: string) => Promise<void>,
): Promise<string> {
  const file = await life.file('disk', '');
  await truncate(file, imageBytes);
  await make(file);
  await cluster.rbd(['import', file, `${pool}/${name}`]);
  const id = formatVolumeId({ backend: 'rbd', clusterId: 'default', pool, namespace: '', image: name });
  life.owns(id);
  return id;
}

for (const [i, { what, word, make, fsType }] of foreign.entries()) {
  t.test(`an image that holds ${what} is neither formatted nor mounted, and not one byte of it changes`, async (t) => {
    const life = site.life(t);
    const name = `foreign-${i}`;
    const id = await importDisk(life, name, make);
    const before = await imageDigest(cluster, `${pool}/${name}`);
    const path = site.path('stage');
    const { code, message } = await refusal(
      life.stage(id, { path, capability: mountCapability('SINGLE_NODE_WRITER', fsType ?? 'ext4') }),
    );
    t.equal(code, 'FAILED_PRECONDITION');
    t.match(message, word, 'the message says what is there');
    t.equal(await mountEntry(path), undefined);
    t.same(await imageDaemons(site.driver.runDir), [], 'it is not left mapped');
    t.equal(await imageDigest(cluster, `${pool}/${name}`), before);
  });
}

t.test('an image that Cuttle formatted and whose superblock was wiped is not formatted again', async (t) => {
  const life = site.life(t);
  const volume = await life.create({ parameters: { pool }, requiredBytes: 32n << 20n });
  const paths = await life.attach(volume.id);
  await writeFile(join(paths.targetPath, 'data'), 'worth keeping');
  await life.detach(volume.id, paths);

  const raw = await life.attach(volume.id, { capability: blockCapability() });
  const head = (await readFile(raw.targetPath)).subarray(0, 1 << 20);
  await overwrite(raw.targetPath, Buffer.alloc(head.length));
  await life.detach(volume.id, raw);

  const { code, message } = await refusal(life.stage(volume.id));
  t.equal(code, 'FAILED_PRECONDITION');
  t.match(message, /formatted/);

  const repaired = await life.attach(volume.id, { capability: blockCapability() });
  t.same((await readFile(repaired.targetPath)).subarray(0, head.length), Buffer.alloc(head.length));
  await overwrite(repaired.targetPath, head);
  await life.detach(volume.id, repaired);
  const { targetPath } = await life.attach(volume.id);
  t.equal(await readFile(join(targetPath, 'data'), 'utf8'), 'worth keeping', 'what was refused could be restored');
});

t.test('a blank image is not formatted for a reader', async (t) => {
  const life = site.life(t);
  const { id } = await life.create({ parameters: { pool }, requiredBytes: 16n << 20n });
  const image = id.split(':').at(-1) ?? '';
  const before = await imageDigest(cluster, `${pool}/${image}`);
  const byFlag: NodeOptions = { capability: mountCapability('SINGLE_NODE_WRITER', 'ext4', ['ro']) };
  for (const use of [{ capability: mountCapability('MULTI_NODE_READER_ONLY') }, byFlag]) {
    const { code, message } = await refusal(life.stage(id, use));
    t.equal(code, 'FAILED_PRECONDITION');
    t.match(message, /blank/);
  }
  t.equal(await imageDigest(cluster, `${pool}/${image}`), before);
});

async function overwrite(device: string, bytes: Uint8Array): Promise<void> {
  const file = await open(device, 'r+');
  await file.write(bytes, 0, bytes.length, 0);
  await file.sync();
  await file.close();
}
