import { statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { attachLoop, refreshLoopSize } from '../src/loop-device.js';
import { Mounter } from '../src/mounter.js';
import { fileSystemSizeBytes, hasOutgrownFileSystem } from '../src/file-system-size.js';
import { growUnmounted, ResizeFs } from '../src/resize-fs.js';
import { rejection } from './support/rejection.js';
import { fakeExec } from './support/fake-exec.js';
import { realExec, run } from './support/real-exec.js';
import { MIB, notRoot, workspace } from './support/workspace.js';

const skip = notRoot;
const real = new ResizeFs({ exec: realExec });

/** What df shows, in MiB. */
async function shownMib(path: string): Promise<number> {
  const { blocks, bsize } = await statfs(path);
  return Math.floor((blocks * bsize) / MIB);
}

void t.test('a mounted xfs grows to its device', { skip }, async (t) => {
  const { makeImage, makeDir } = await workspace(t);
  const image = await makeImage('image', 320 * MIB);
  await run('mkfs.xfs', '-q', image);
  const device = await attachLoop(realExec, image);
  const target = await makeDir('target');
  await new Mounter({ exec: realExec }).mount(device, target, 'xfs', []);
  t.ok((await shownMib(target)) < 320);
  await truncate(image, 400 * MIB);
  await refreshLoopSize(realExec, device);
  await real.resize(device, target);
  t.ok((await shownMib(target)) > 320);
  await real.resize(device, target);
});

for (const [fsType, options, sizeMib] of [
  ['ext4', ['-O', '64bit'], 64],
  ['ext4', ['-O', '^64bit', '-b', '1024'], 64],
  ['ext2', [], 64],
  ['xfs', [], 320],
] as const) {
  void t.test(
    `the size of an unmounted ${fsType} ${options.join(' ')} is read, and that its device has outgrown it`,
    { skip },
    async (t) => {
      const { makeImage } = await workspace(t);
      const image = await makeImage('image', sizeMib * MIB);
      await run(`mkfs.${fsType}`, '-q', ...options, image);
      t.equal(await fileSystemSizeBytes(image), BigInt(sizeMib * MIB));
      t.equal(await hasOutgrownFileSystem(image), false);
      await truncate(image, (sizeMib + 7) * MIB);
      t.equal(await hasOutgrownFileSystem(image), false, 'too little to be of use');
      await truncate(image, 2 * sizeMib * MIB);
      t.equal(await hasOutgrownFileSystem(image), true);
      if (fsType === 'xfs') return;
      await growUnmounted(realExec, image, fsType);
      t.equal(await fileSystemSizeBytes(image), BigInt(2 * sizeMib * MIB));
      t.equal(await hasOutgrownFileSystem(image), false);
    },
  );
}

void t.test('what is no file system that can be grown has not been outgrown', async (t) => {
  const { makeImage } = await workspace(t);
  const image = await makeImage('image', 64 * MIB);
  t.equal(await fileSystemSizeBytes(image), undefined);
  t.equal(await hasOutgrownFileSystem(image), false);
});

void t.test('an ext4 with errors is not grown', async (t) => {
  const { exec, programs } = fakeExec({ 'fsck.ext4': { exitCode: 4, stdout: 'bad' } });
  t.match(await rejection(growUnmounted(exec, '/dev/d', 'ext4')), { kind: 'HasFilesystemErrors' });
  t.strictSame(programs(), ['fsck.ext4']);
});

void t.test('a mounted ext4 grows, or the error names the capability that is missing', { skip }, async (t) => {
  const { makeImage, makeDir } = await workspace(t);
  const image = await makeImage('image', 64 * MIB);
  await run('mkfs.ext4', '-q', '-F', image);
  const device = await attachLoop(realExec, image);
  const target = await makeDir('target');
  await new Mounter({ exec: realExec }).mount(device, target, 'ext4', []);
  await truncate(image, 128 * MIB);
  await refreshLoopSize(realExec, device);
  const before = await shownMib(target);
  const error = await rejection(real.resize(device, target));
  if (error === undefined) t.ok((await shownMib(target)) > before);
  else t.match((error as Error).message, /could not grow the ext4 file system on \/dev\/loop.*CAP_SYS_RESOURCE/s);
});

const EXT4 = { stdout: 'TYPE=ext4\n' };
const REFUSED = { exitCode: 1, stderr: 'failed' };

void t.test('the missing capability is named when the process lacks it, and not when it has it', async (t) => {
  const { dir } = await workspace(t);
  const statusPath = join(dir, 'status');
  const { exec } = fakeExec({ blkid: EXT4, resize2fs: REFUSED });
  for (const [mask, named] of [
    ['000001fffeffffff', true],
    ['000001ffffffffff', false],
  ] as const) {
    await writeFile(statusPath, `Name:\tx\nCapEff:\t${mask}\n`);
    const error = await rejection(new ResizeFs({ exec, statusPath }).resize('/d', '/m'));
    t.equal((error as Error).message.includes('CAP_SYS_RESOURCE'), named, mask);
  }
});

void t.test('each file system has its own program, which is not aborted halfway', async (t) => {
  for (const [type, program, argument] of [
    ['ext4', 'resize2fs', '/dev/d'],
    ['xfs', 'xfs_growfs', '/m'],
  ] as const) {
    const { exec, calls } = fakeExec({ blkid: { stdout: `TYPE=${type}\n` } });
    await new ResizeFs({ exec }).resize('/dev/d', '/m', { signal: new AbortController().signal });
    t.strictSame(calls[1], { program, args: [argument], options: { timeoutMs: 3_600_000 } });
    const given = new ResizeFs({ exec }).resize('/dev/d', '/m', { signal: AbortSignal.abort() });
    await t.rejects(given, { name: 'AbortError' });
  }
});

void t.test('what cannot be grown is named', async (t) => {
  const { exec, programs } = fakeExec({ blkid: { stdout: 'TYPE=vfat\n' } });
  t.match(await rejection(new ResizeFs({ exec }).resize('/d', '/m')), {
    kind: 'FilesystemMismatch',
    message: /a vfat file system/,
  });
  t.strictSame(programs(), ['blkid']);
});
