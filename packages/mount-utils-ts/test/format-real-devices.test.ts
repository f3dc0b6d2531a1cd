import { readFile, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { attachLoop, detachLoop, refreshLoopSize } from '../src/loop-device.js';
import { mountPointOf, readMountInfo } from '../src/mount-info.js';
import { Mounter } from '../src/mounter.js';
import { SafeFormatAndMount } from '../src/safe-format-and-mount.js';
import { writeSignature } from './support/disk-images.js';
import { rejection } from './support/rejection.js';
import { realExec, run } from './support/real-exec.js';
import { checksum, MIB, notRoot, workspace } from './support/workspace.js';

const skip = notRoot;

async function start(t: Test, sizeBytes = 64 * MIB) {
  const space = await workspace(t);
  const programs: string[] = [];
  const exec: typeof realExec = (program, args, options) => {
    programs.push(program);
    return realExec(program, args, options);
  };
  const mounter = new Mounter({ exec });
  const image = await space.makeImage('image', sizeBytes);
  const target = await space.makeDir('target');
  return { ...space, image, target, programs, mounter, safe: new SafeFormatAndMount({ mounter, exec }) };
}

for (const [fsType, sizeBytes] of [
  ['ext4', 64 * MIB],
  ['xfs', 320 * MIB],
] as const) {
  void t.test(`a blank loop device gets ${fsType} once, and keeps its data ever after`, { skip }, async (t) => {
    const { image, target, safe, mounter } = await start(t, sizeBytes);
    const device = await attachLoop(realExec, image);
    t.strictSame(await safe.getDiskFormat(device), { kind: 'blank' });
    t.strictSame(await safe.formatAndMount({ device, target, fsType }), { formatted: true, grown: false, fsType });
    t.match(mountPointOf(target, await readMountInfo()), { source: device, fsType });
    await writeFile(join(target, 'kept'), 'data');
    await mounter.unmount(target);
    t.strictSame(await safe.formatAndMount({ device, target, fsType }), { formatted: false, grown: false, fsType });
    t.equal(await readFile(join(target, 'kept'), 'utf8'), 'data');
    await mounter.unmount(target);
    t.strictSame(await safe.formatAndMount({ device, target, fsType, readOnly: true }), {
      formatted: false,
      grown: false,
      fsType,
    });
    await t.rejects(writeFile(join(target, 'new'), 'x'), { code: 'EROFS' });
    await mounter.unmount(target);
    t.equal(await detachLoop(realExec, device), 'detached');
  });

  void t.test(`an ${fsType} whose device has grown is grown when that is asked for`, { skip }, async (t) => {
    const { image, target, safe, mounter, programs } = await start(t, sizeBytes);
    const device = await attachLoop(realExec, image);
    await safe.formatAndMount({ device, target, fsType });
    const shown = async () => {
      const { blocks, bsize } = await statfs(target);
      return blocks * bsize;
    };
    const before = await shown();
    await mounter.unmount(target);
    await truncate(image, 2 * sizeBytes);
    await refreshLoopSize(realExec, device);
    for (const request of [{}, { grow: true, readOnly: true }, { grow: true, mountOptions: ['ro'] }]) {
      t.strictSame(await safe.formatAndMount({ device, target, fsType, ...request }), {
        formatted: false,
        grown: false,
        fsType,
      });
      t.equal(await shown(), before, JSON.stringify(request));
      await mounter.unmount(target);
    }
    t.strictSame(await safe.formatAndMount({ device, target, fsType, grow: true }), {
      formatted: false,
      grown: true,
      fsType,
    });
    t.ok((await shown()) > before * 1.8);
    await mounter.unmount(target);
    programs.length = 0;
    t.match(await safe.formatAndMount({ device, target, fsType, grow: true }), { grown: false });
    t.notMatch(programs.join(), /resize2fs|xfs_growfs/);
    await mounter.unmount(target);
  });

  void t.test(`a device that holds ${fsType} is not formatted as something else`, { skip }, async (t) => {
    const { image, target, safe, mounter } = await start(t, sizeBytes);
    await run(`mkfs.${fsType}`, '-q', image);
    const device = await attachLoop(realExec, image);
    const before = await checksum(image);
    const other = fsType === 'ext4' ? 'xfs' : 'ext4';
    t.match(await rejection(safe.formatAndMount({ device, target, fsType: other })), {
      kind: 'FilesystemMismatch',
      message: new RegExp(`holds a ${fsType} file system, but ${other} was asked for`),
    });
    t.equal(await checksum(image), before);
    t.equal(await mounter.isMountPoint(target), false);
  });
}

for (const kind of ['dos', 'gpt'] as const) {
  void t.test(`a partition table (${kind}) is never formatted over`, { skip }, async (t) => {
    const { image, target, safe, programs } = await start(t);
    await writeSignature(image, kind);
    const device = await attachLoop(realExec, image);
    const before = await checksum(image);
    t.strictSame(await safe.getDiskFormat(device), { kind: 'partition-table', type: kind });
    t.match(await rejection(safe.formatAndMount({ device, target, fsType: 'ext4' })), { kind: 'FilesystemMismatch' });
    t.equal(await checksum(image), before);
    t.notOk(programs.some((program) => program.startsWith('mkfs')));
  });
}

void t.test('swap and LVM members are never formatted over', { skip }, async (t) => {
  const { image, target, safe, makeImage } = await start(t);
  await run('mkswap', image);
  const member = await makeImage('member', 8 * MIB);
  await writeSignature(member, 'LVM2_member');
  for (const [device, type] of [
    [image, 'swap'],
    [member, 'LVM2_member'],
  ] as const) {
    const before = await checksum(device);
    t.strictSame(await safe.getDiskFormat(device), { kind: 'other', type });
    t.match(await rejection(safe.formatAndMount({ device, target, fsType: 'ext4' })), { kind: 'FilesystemMismatch' });
    t.equal(await checksum(device), before);
  }
});

void t.test('a blank device that is to be read-only stays blank', { skip }, async (t) => {
  const { image, target, safe } = await start(t);
  const device = await attachLoop(realExec, image, { readOnly: true });
  const before = await checksum(image);
  t.match(await rejection(safe.formatAndMount({ device, target, fsType: 'ext4', readOnly: true })), {
    kind: 'UnformattedReadOnly',
  });
  t.equal(await checksum(image), before);
});

void t.test(
  'a write-protected device asked for writing is an error, not a silent read-only mount',
  { skip },
  async (t) => {
    const { image, target, safe, mounter } = await start(t, 320 * MIB);
    await run('mkfs.xfs', '-q', image);
    const device = await attachLoop(realExec, image, { readOnly: true });
    await t.rejects(safe.formatAndMount({ device, target, fsType: 'xfs' }), /write-protected/);
    t.equal(await mounter.isMountPoint(target), false);
  },
);

void t.test('a damaged ext4 is repaired before the mount when that needs no answer', { skip }, async (t) => {
  const { image, target, safe, mounter } = await start(t);
  await run('mkfs.ext4', '-q', '-F', image);
  // A wrong link count, which a mount would not notice, in a file system marked as not clean.
  await run('debugfs', '-w', '-R', 'set_inode_field <11> links_count 9', image);
  await run('debugfs', '-w', '-R', 'set_super_value state 0', image);
  await safe.formatAndMount({ device: image, target, fsType: 'ext4' });
  await mounter.unmount(target);
  t.match(await run('debugfs', '-R', 'stat <11>', image), /Links: 2\b/);
});

void t.test(
  'an ext4 that cannot be repaired without asking is HasFilesystemErrors and not mounted',
  { skip },
  async (t) => {
    const { image, target, safe, mounter } = await start(t);
    await run('mkfs.ext4', '-q', '-F', image);
    // The root directory's inode is wiped: preen gives up.
    await run('debugfs', '-w', '-R', 'clri <2>', image);
    await run('debugfs', '-w', '-R', 'set_super_value state 0', image);
    t.match(await rejection(safe.formatAndMount({ device: image, target, fsType: 'ext4' })), {
      kind: 'HasFilesystemErrors',
    });
    t.equal(await mounter.isMountPoint(target), false);
  },
);

void t.test('a device that is mounted elsewhere is mounted again without a check', { skip }, async (t) => {
  const { image, target, safe, makeDir, programs } = await start(t);
  const device = await attachLoop(realExec, image);
  await safe.formatAndMount({ device, target, fsType: 'ext4' });
  const second = await makeDir('second');
  await safe.formatAndMount({ device, target: second, fsType: 'ext4' });
  t.ok(mountPointOf(second, await readMountInfo()));
  t.notOk(programs.includes('fsck.ext4'));
});
