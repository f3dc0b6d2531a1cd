import { mkdir, open, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import { blockDeviceNumber, deviceSizeBytes } from '../src/device-number.js';
import { attachLoop, backingFileOf, detachLoop, findLoops, isLoopOver, refreshLoopSize } from '../src/loop-device.js';
import { fakeExec } from './support/fake-exec.js';
import { rejection } from './support/rejection.js';
import { realExec } from './support/real-exec.js';
import { MIB, notRoot, workspace } from './support/workspace.js';

const skip = notRoot;

void t.test('a file is attached once: a second attach gives the same device', { skip }, async (t) => {
  const { makeImage } = await workspace(t);
  const image = await makeImage('im age', 4 * MIB);
  t.strictSame(await findLoops(realExec, image), []);
  const device = await attachLoop(realExec, image);
  t.equal(await attachLoop(realExec, image), device);
  t.strictSame(await findLoops(realExec, image), [{ device, backingFile: image, deleted: false, readOnly: false }]);
  t.equal(await deviceSizeBytes(device), BigInt(4 * MIB));
});

void t.test('the backing file is found by name, by number and through a link to the device', { skip }, async (t) => {
  const { dir, makeImage } = await workspace(t);
  const image = await makeImage('image', MIB);
  const device = await attachLoop(realExec, image);
  const number = await blockDeviceNumber(device);
  await symlink(device, join(dir, 'link'));
  t.equal(await backingFileOf(device), image);
  t.equal(await backingFileOf(`${number?.major ?? ''}:${number?.minor ?? ''}`), image);
  t.equal(await backingFileOf(join(dir, 'link')), image);
  t.equal(await backingFileOf('/dev/null'), undefined);
  t.equal(await backingFileOf('254:9999'), undefined);
});

void t.test('loops are found through a symbolic link to the file', { skip }, async (t) => {
  const { dir, makeImage } = await workspace(t);
  const image = await makeImage('image', MIB);
  await symlink(image, join(dir, 'link'));
  const device = await attachLoop(realExec, join(dir, 'link'));
  t.strictSame(
    (await findLoops(realExec, join(dir, 'link'))).map((loop) => loop.device),
    [device],
  );
  t.equal(await attachLoop(realExec, image), device);
});

void t.test(
  'a loop over a deleted file is still found, and not taken for the file that has its name now',
  { skip },
  async (t) => {
    const { makeImage } = await workspace(t);
    const image = await makeImage('image', MIB);
    const old = await attachLoop(realExec, image);
    t.teardown(() => detachLoop(realExec, old));
    await rm(image);
    t.strictSame(await findLoops(realExec, image), [
      { device: old, backingFile: image, deleted: true, readOnly: false },
    ]);
    await makeImage('image', 2 * MIB);
    const fresh = await attachLoop(realExec, image);
    t.not(fresh, old);
    t.equal(await deviceSizeBytes(fresh), BigInt(2 * MIB));
  },
);

void t.test('a file that was replaced under the same name is attached anew', { skip }, async (t) => {
  const { dir, makeDir } = await workspace(t);
  // A mount that covers the file leaves the old name in sysfs, unlike an unlink.
  const place = await makeDir('place');
  await writeFile(join(place, 'image'), Buffer.alloc(MIB));
  const old = await attachLoop(realExec, join(place, 'image'));
  await realExec('mount', ['-t', 'tmpfs', 'tmpfs', place]);
  await writeFile(join(place, 'image'), Buffer.alloc(2 * MIB));
  const fresh = await attachLoop(realExec, join(dir, 'place', 'image'));
  t.not(fresh, old);
  t.equal(await deviceSizeBytes(fresh), BigInt(2 * MIB));
});

void t.test(
  'a read-only loop cannot be written to, and is not given to one who wants to write',
  { skip },
  async (t) => {
    const { makeImage } = await workspace(t);
    const image = await makeImage('image', MIB);
    const device = await attachLoop(realExec, image, { readOnly: true });
    t.equal((await findLoops(realExec, image))[0]?.readOnly, true);
    const written = open(device, 'r+').then((file) => file.write('x').finally(() => file.close()));
    t.match(await rejection(written), { code: /^(EPERM|EACCES|EROFS)$/ });
    await t.rejects(attachLoop(realExec, image), /attached to \/dev\/loop\d+ already, read-only/);
    t.equal(await attachLoop(realExec, image, { readOnly: true }), device);
  },
);

void t.test('a detached loop is gone from sysfs, and a second detach is fine', { skip }, async (t) => {
  const { makeImage } = await workspace(t);
  const device = await attachLoop(realExec, await makeImage('image', MIB));
  t.equal(await detachLoop(realExec, device), 'detached');
  t.equal(await backingFileOf(device), undefined);
  t.equal(await detachLoop(realExec, device), 'not-attached');
});

void t.test('a loop that is still open is reported as in use, and goes when it is closed', { skip }, async (t) => {
  const { makeImage } = await workspace(t);
  const device = await attachLoop(realExec, await makeImage('image', MIB));
  const holder = await open(device, 'r');
  try {
    t.equal(await detachLoop(realExec, device), 'in-use');
    t.ok(await backingFileOf(device));
  } finally {
    await holder.close();
  }
  t.equal(
    await detachLoop(realExec, device),
    (await backingFileOf(device)) === undefined ? 'not-attached' : 'detached',
  );
  t.equal(await backingFileOf(device), undefined);
});

void t.test('a loop shows the new size of its file after a refresh, and not before', { skip }, async (t) => {
  const { makeImage } = await workspace(t);
  const image = await makeImage('image', MIB);
  const device = await attachLoop(realExec, image);
  await truncate(image, 3 * MIB);
  t.equal(await deviceSizeBytes(device), BigInt(MIB));
  await refreshLoopSize(realExec, device);
  t.equal(await deviceSizeBytes(device), BigInt(3 * MIB));
});

void t.test('direct I/O is passed on', { skip }, async (t) => {
  const { makeImage } = await workspace(t);
  const image = await makeImage('image', MIB);
  const device = await attachLoop(realExec, image, { directIo: true });
  t.equal((await realExec('losetup', ['-n', '-O', 'DIO', device])).stdout.trim(), '1');
});

void t.test('failures name the file or the device', { skip }, async (t) => {
  const { dir } = await workspace(t);
  await t.rejects(attachLoop(realExec, join(dir, 'absent')), /could not attach .*absent to a loop device/);
  await t.rejects(refreshLoopSize(realExec, '/dev/null'), /could not refresh the size of \/dev\/null/);
});

void t.test('sysfs is read as it is: detached loops, deleted files, other devices', async (t) => {
  const { dir } = await workspace(t);
  const loop = async (name: string, file?: string, ro = '0') => {
    await mkdir(join(dir, name, 'loop'), { recursive: true });
    await writeFile(join(dir, name, 'dev'), `7:${name.slice(4)}\n`);
    await writeFile(join(dir, name, 'ro'), `${ro}\n`);
    if (file !== undefined) await writeFile(join(dir, name, 'loop', 'backing_file'), `${file}\n`);
  };
  await loop('loop0');
  await loop('loop1', '/srv/a (deleted)', '1');
  await loop('loop2', '/srv/a');
  await loop('loop10', '/srv/ab');
  await mkdir(join(dir, 'sda'));
  t.strictSame(await findLoops(realExec, '/srv/a', dir), [
    { device: '/dev/loop1', backingFile: '/srv/a', deleted: true, readOnly: true },
    { device: '/dev/loop2', backingFile: '/srv/a', deleted: false, readOnly: false },
  ]);
  t.strictSame(await findLoops(realExec, '/srv', dir), []);
  t.equal(await backingFileOf('/dev/loop0', dir), undefined);
  t.equal(await backingFileOf('7:10', dir), '/srv/ab');
  t.equal(await backingFileOf('7:1', dir), '/srv/a');
});

void t.test('a file whose name really ends like a deleted one is not mistaken', async (t) => {
  const { dir } = await workspace(t);
  const file = join(dir, 'x (deleted)');
  await writeFile(file, '');
  await mkdir(join(dir, 'sys', 'loop0', 'loop'), { recursive: true });
  await writeFile(join(dir, 'sys', 'loop0', 'loop', 'backing_file'), `${file}\n`);
  t.match(await findLoops(realExec, file, join(dir, 'sys')), [{ backingFile: file, deleted: false }]);
  await rename(file, join(dir, 'y'));
  t.strictSame(await findLoops(realExec, file, join(dir, 'sys')), []);
});

void t.test(
  'a loop whose mount namespace has gone is known by the file system that it is over',
  { skip },
  async (t) => {
    const { dir, makeImage } = await workspace(t);
    const shown = [join(dir, 'shown'), join(dir, 'other')];
    for (const [i, file] of shown.entries()) {
      await writeFile(file, '');
      await showByFuse(t, await makeImage(`image${i}`, 4 * MIB), file);
    }
    const [file = '', other = ''] = shown;
    // Its namespace ends with it.
    const { stdout } = await realExec('unshare', ['--mount', 'losetup', '--find', '--show', file]);
    const device = stdout.trim();
    t.teardown(async () => realExec('losetup', ['--detach', device]));
    t.equal(await backingFileOf(device), '/');
    t.equal(await isLoopOver(realExec, device, file), true);
    t.equal(await isLoopOver(realExec, device, other), false);
    t.equal(await isLoopOver(realExec, device, join(dir, 'image0')), false);
    t.match(await findLoops(realExec, file), [{ device, backingFile: '/' }]);
    t.strictSame(await findLoops(realExec, other), []);
    t.equal(await attachLoop(realExec, file), device, 'it is not attached twice');
    t.equal(await detachLoop(realExec, device), 'detached');
    t.strictSame(await findLoops(realExec, file), []);
  },
);

/** The image as a FUSE file system that consists of one file, as qemu-storage-daemon shows volumes. */
async function showByFuse(t: Test, image: string, file: string): Promise<void> {
  const pidFile = `${file}.pid`;
  const started = await realExec('qemu-storage-daemon', [
    ...['--daemonize', '--pidfile', pidFile, '--blockdev', `driver=file,node-name=image,filename=${image}`],
    ...['--export', `type=fuse,id=shown,node-name=image,mountpoint=${file},writable=on`],
  ]);
  t.equal(started.exitCode, 0, started.stderr);
  const pid = Number(await readFile(pidFile, 'utf8'));
  t.teardown(() => process.kill(pid));
}

void t.test('a losetup that fails is reported with what it said', async (t) => {
  const { makeImage } = await workspace(t);
  const image = await makeImage('image', MIB);
  const { exec, calls } = fakeExec({ losetup: { exitCode: 1, stderr: 'no free loop' } });
  await t.rejects(attachLoop(exec, image, { readOnly: true, directIo: true }), /no free loop/);
  t.strictSame(calls[0]?.args.slice(0, -1), ['--find', '--show', '--nooverlap', '--read-only', '--direct-io=on']);
  t.equal(basename(calls[0]?.args.at(-1) ?? ''), 'image');
});
