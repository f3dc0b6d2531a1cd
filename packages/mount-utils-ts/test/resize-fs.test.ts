import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { attachLoop, refreshLoopSize } from '../src/loop-device.js';
import { Mounter } from '../src/mounter.js';
import { ResizeFs } from '../src/resize-fs.js';
import { rejection } from './support/rejection.js';
import { fakeExec } from './support/fake-exec.js';
import { realExec, run } from './support/real-exec.js';
import { MIB, notRoot, workspace } from './support/workspace.js';

const skip = notRoot;
const real = new ResizeFs({ exec: realExec });

void t.test('a mounted xfs grows to its device', { skip }, async (t) => {
  const { makeImage, makeDir } = await workspace(t);
  const image = await makeImage('image', 320 * MIB);
  await run('mkfs.xfs', '-q', image);
  const device = await attachLoop(realExec, image);
  const target = await makeDir('target');
  await new Mounter({ exec: realExec }).mount(device, target, 'xfs', []);
  t.equal(await real.needResize(device, target), false);
  await truncate(image, 400 * MIB);
  await refreshLoopSize(realExec, device);
  t.equal(await real.needResize(device, target), true);
  await real.resize(device, target);
  t.equal(await real.needResize(device, target), false);
  await real.resize(device, target);
});

void t.test('an ext4 grows to its device when it is not mounted', { skip }, async (t) => {
  const { makeImage } = await workspace(t);
  const image = await makeImage('image', 64 * MIB);
  await run('mkfs.ext4', '-q', '-F', image);
  const device = await attachLoop(realExec, image);
  t.equal(await real.needResize(device, '/nowhere'), false);
  await truncate(image, 128 * MIB);
  await refreshLoopSize(realExec, device);
  t.equal(await real.needResize(device, '/nowhere'), true);
  await run('e2fsck', '-f', '-p', device);
  await real.resize(device, '/nowhere');
  t.equal(await real.needResize(device, '/nowhere'), false);
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
  t.equal(await real.needResize(device, target), true);
  const error = await rejection(real.resize(device, target));
  if (error === undefined) t.equal(await real.needResize(device, target), false);
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
  t.match(await rejection(new ResizeFs({ exec }).needResize('/d', '/m')), { kind: 'FilesystemMismatch' });
  t.strictSame(programs(), ['blkid', 'blkid']);
});

void t.test('a difference of less than a block needs no growing', async (t) => {
  const { makeImage } = await workspace(t);
  const dumpe2fs = { stdout: 'Block count:              1000\nBlock size:               4096\n' };
  const { exec } = fakeExec({ blkid: EXT4, dumpe2fs });
  const resize = new ResizeFs({ exec });
  t.equal(await resize.needResize(await makeImage('same', 4_096_000), '/m'), false);
  t.equal(await resize.needResize(await makeImage('almost', 4_096_000 + 4095), '/m'), false);
  t.equal(await resize.needResize(await makeImage('more', 4_096_000 + 4096), '/m'), true);
  t.equal(await resize.needResize(await makeImage('less', 4096), '/m'), false);
});

void t.test('an answer without sizes is an error, not "no need"', async (t) => {
  const { exec } = fakeExec({ blkid: EXT4, dumpe2fs: { stdout: 'nonsense' } });
  await t.rejects(new ResizeFs({ exec }).needResize('/dev/d', '/m'), /cannot tell the size/);
});
