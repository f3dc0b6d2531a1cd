import { open } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { crc32c } from '../src/crc32c.js';
import { Mounter } from '../src/mounter.js';
import { SafeFormatAndMount } from '../src/safe-format-and-mount.js';
import { isCleanExt, provenFileSystem, readHead } from '../src/superblock.js';
import { writeSignature } from './support/disk-images.js';
import { rejection } from './support/rejection.js';
import { realExec, run } from './support/real-exec.js';
import { MIB, notRoot, workspace } from './support/workspace.js';

async function formatted(t: Test, fsType: string, ...options: string[]): Promise<string> {
  const image = await (await workspace(t)).makeImage('image', fsType === 'xfs' ? 320 * MIB : 16 * MIB);
  await run(`mkfs.${fsType}`, ...options, image);
  return image;
}

async function setSuper(image: string, field: string, value: string): Promise<void> {
  await run('debugfs', '-w', '-R', `set_super_value ${field} ${value}`, image);
}

async function overwrite(image: string, position: number, bytes: Buffer): Promise<void> {
  const file = await open(image, 'r+');
  await file.write(bytes, 0, bytes.length, position);
  await file.close();
}

void t.test('CRC-32C of the check string is that of RFC 3720, before it is inverted', (t) => {
  t.equal(~crc32c(Buffer.from('123456789')) >>> 0, 0xe3069283);
  t.end();
});

void t.test('what mkfs has made proves itself; what has no checksum, or is none of the two, does not', async (t) => {
  const cases: [string, string[], string | undefined][] = [
    ['ext4', ['-q', '-F'], 'ext4'],
    ['ext4', ['-q', '-F', '-b', '1024'], 'ext4'],
    ['ext4', ['-q', '-F', '-O', '^metadata_csum'], undefined],
    ['ext3', ['-q', '-F'], undefined],
    ['ext2', ['-q', '-F'], undefined],
    ['xfs', ['-q', '-f'], 'xfs'],
    ['xfs', ['-q', '-f', '-s', 'size=4096'], 'xfs'],
  ];
  for (const [fsType, options, proven] of cases) {
    const head = await readHead(await formatted(t, fsType, ...options));
    t.equal(provenFileSystem(head), proven, [fsType, ...options].join(' '));
  }
  t.equal(provenFileSystem(Buffer.alloc(4096)), undefined);
});

void t.test('a superblock with one wrong byte proves nothing, wherever the byte is', async (t) => {
  for (const [fsType, options, positions] of [
    ['ext4', ['-q', '-F'], [1024 + 0x38, 1024 + 0x60, 1024 + 0x3f0]],
    ['xfs', ['-q', '-f'], [0, 8, 126, 300, 511]],
  ] as const) {
    const image = await formatted(t, fsType, ...options);
    for (const position of positions) {
      const head = await readHead(image);
      head.writeUInt8(head.readUInt8(position) ^ 0x10, position);
      t.equal(provenFileSystem(head), undefined, `${fsType}, byte ${position}`);
    }
  }
});

void t.test('an ext4 with something before it proves nothing: a partition table, a LUKS header', async (t) => {
  const table = await formatted(t, 'ext4', '-q', '-F');
  await writeSignature(table, 'dos');
  t.equal(provenFileSystem(await readHead(table)), undefined);
  const luks = await formatted(t, 'ext4', '-q', '-F');
  await overwrite(luks, 0, Buffer.from('LUKS\xba\xbe\0\x02', 'latin1'));
  t.equal(provenFileSystem(await readHead(luks)), undefined);
});

void t.test('an ext4 is clean by what e2fsck -p decides by', async (t) => {
  const image = await formatted(t, 'ext4', '-q', '-F');
  const isClean = async (nowSeconds?: number) => isCleanExt(await readHead(image), nowSeconds);
  const skipped = async () => (await run('fsck.ext4', '-p', image)).includes(' clean, ');
  t.equal(await isClean(), true);
  t.equal(await skipped(), true, 'e2fsck passes over it as well');

  await setSuper(image, 'max_mnt_count', '3');
  await setSuper(image, 'mnt_count', '2');
  t.equal(await isClean(), true);
  await setSuper(image, 'mnt_count', '3');
  t.equal(await isClean(), false, 'mounted often enough to be checked');
  t.equal(await skipped(), false, 'e2fsck thinks so too');
  t.equal(await isClean(), true, 'it has counted anew');

  await setSuper(image, 'checkinterval', '86400');
  const now = Date.now() / 1000;
  t.equal(await isClean(now + 3_600), true);
  t.equal(await isClean(now + 2 * 86_400), false, 'not checked for so long');

  for (const [field, value] of [
    ['state', '0'],
    ['state', '3'],
    ['feature_incompat', '0x2c6'],
    ['last_orphan', '12'],
  ] as const) {
    const other = await formatted(t, 'ext4', '-q', '-F');
    await setSuper(other, field, value);
    t.equal(isCleanExt(await readHead(other)), false, `${field} ${value}`);
  }
});

void t.test(
  'what was formatted before is mounted by mount(8) alone; what is not sure of itself is probed as ever',
  { skip: notRoot },
  async (t) => {
    for (const [fsType, options] of [
      ['ext4', ['-q', '-F']],
      ['xfs', ['-q', '-f']],
    ] as const) {
      const image = await formatted(t, fsType, ...options);
      const target = await (await workspace(t)).makeDir('target');
      const programs: string[] = [];
      const exec: typeof realExec = (program, args, more) => {
        programs.push(program);
        return realExec(program, args, more);
      };
      const mounter = new Mounter({ exec });
      const safe = new SafeFormatAndMount({ mounter, exec });
      const mount = async (wasFormatted: boolean) => {
        programs.length = 0;
        await safe.formatAndMount({ device: image, target, fsType, wasFormatted, grow: true });
        await realExec('umount', [target]);
        return [...programs];
      };
      t.strictSame(await mount(true), ['mount']);
      t.strictSame(await mount(false), ['blkid', 'mount'], 'nobody says that it is ours');
      await overwrite(image, fsType === 'xfs' ? 511 : 1024 + 0x3f0, Buffer.from([0x77]));
      await t.rejects(mount(true));
      t.equal(programs[0], 'blkid', 'a superblock that contradicts its checksum');
    }
  },
);

void t.test('a device that was formatted and is blank now is formatted only if that is allowed', async (t) => {
  const { dir, makeImage } = await workspace(t);
  const image = await makeImage('image', 16 * MIB);
  const exec = realExec;
  const safe = new SafeFormatAndMount({ mounter: new Mounter({ exec }), exec });
  const allowFormat = async () => Promise.resolve(false);
  const request = { device: image, target: join(dir, 't'), fsType: 'ext4', wasFormatted: true, allowFormat };
  t.match(await rejection(safe.formatAndMount(request)), { kind: 'FormatFailed' });
  t.notOk(
    (await readHead(image)).some((byte) => byte !== 0),
    'nothing was written',
  );
});
