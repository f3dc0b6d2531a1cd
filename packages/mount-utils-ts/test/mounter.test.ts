import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Exec } from '../src/exec.js';
import { MountError } from '../src/mount-error.js';
import { mountPointOf, readMountInfo } from '../src/mount-info.js';
import { Mounter } from '../src/mounter.js';
import { mounterContract } from './mounter.contract.js';
import { rejection } from './support/rejection.js';
import { realExec, run } from './support/real-exec.js';
import { notRoot, workspace } from './support/workspace.js';

const skip = notRoot;

async function start(t: Test) {
  const space = await workspace(t);
  return { ...space, mounter: new Mounter({ exec: realExec }) };
}

mounterContract(t, start, skip);

void t.test('a read-only bind cannot be written through, while its source can', { skip }, async (t) => {
  const { mounter, makeDir } = await start(t);
  const [source, target] = [await makeDir('source'), await makeDir('target')];
  await mounter.mount('tmpfs', source, 'tmpfs', []);
  await mounter.bindMount(source, target, { readOnly: true });
  await t.rejects(writeFile(join(target, 'file'), 'x'), { code: 'EROFS' });
  await writeFile(join(source, 'file'), 'x');
  t.equal(await readFile(join(target, 'file'), 'utf8'), 'x');
});

void t.test('a read-only bind keeps the flags of its source', { skip }, async (t) => {
  const { mounter, makeDir } = await start(t);
  const [source, target] = [await makeDir('source'), await makeDir('target')];
  await mounter.mount('tmpfs', source, 'tmpfs', ['nosuid', 'nodev']);
  await mounter.bindMount(source, target, { readOnly: true, options: ['noexec'] });
  const flags = mountPointOf(target, await readMountInfo())?.mountOptions ?? [];
  for (const flag of ['ro', 'nosuid', 'nodev', 'noexec']) t.ok(flags.includes(flag), flag);
});

void t.test('a bind whose second step fails leaves nothing mounted', { skip }, async (t) => {
  const { makeDir } = await start(t);
  const [source, target] = [await makeDir('source'), await makeDir('target')];
  const failing: Exec = (program, args, options) =>
    args.some((arg) => arg.startsWith('remount'))
      ? Promise.resolve({ exitCode: 32, stdout: '', stderr: 'refused' })
      : realExec(program, args, options);
  const mounter = new Mounter({ exec: failing });
  await t.rejects(mounter.bindMount(source, target, { readOnly: true }), /could not set ro on the bind.*refused/);
  t.equal(mountPointOf(target, await readMountInfo()), undefined);
});

void t.test('a file can be bound over a file', { skip }, async (t) => {
  const { mounter, makeImage } = await start(t);
  const [source, target] = [await makeImage('source', 10), await makeImage('target', 0)];
  await mounter.bindMount(source, target);
  t.equal(await mounter.isMountPoint(target), true);
  t.equal(await mounter.isLikelyNotMountPoint(target), true, 'one stat cannot see a bind within a file system');
});

void t.test('a mount point is found and unmounted through a symbolic link', { skip }, async (t) => {
  const { mounter, dir, makeDir } = await start(t);
  const target = await makeDir('real/target');
  await symlink('real', join(dir, 'parent-link'));
  await symlink(target, join(dir, 'link'));
  await mounter.mount('tmpfs', target, 'tmpfs', []);
  t.equal(await mounter.isMountPoint(join(dir, 'parent-link', 'target')), true);
  t.equal(await mounter.isMountPoint(join(dir, 'link')), true);
  await mounter.unmount(join(dir, 'link'));
  t.equal(await mounter.isMountPoint(target), false);
});

void t.test('names with blanks, Unicode and backslashes can be mounted at', { skip }, async (t) => {
  const { mounter, makeDir } = await start(t);
  for (const name of ['with space', 'tab\there', 'ünïcode', 'back\\slash', 'hash#', 'new\nline']) {
    const target = await makeDir(name);
    await mounter.mount('a source', target, 'tmpfs', []);
    t.equal(await mounter.isMountPoint(target), true, JSON.stringify(name));
    await mounter.unmount(target);
    t.equal(await mounter.isMountPoint(target), false, JSON.stringify(name));
  }
});

void t.test('a source that begins with a dash is not taken for an option', { skip }, async (t) => {
  const { mounter, makeDir } = await start(t);
  const target = await makeDir('target');
  await mounter.mount('--version', target, 'tmpfs', []);
  t.equal(mountPointOf(target, await readMountInfo())?.source, '--version');
});

void t.test('a remount keeps the flags that it does not name', { skip }, async (t) => {
  const { mounter, makeDir } = await start(t);
  const target = await makeDir('target');
  await mounter.mount('tmpfs', target, 'tmpfs', ['nosuid', 'nodev']);
  await mounter.remount(target, ['ro', 'dev']);
  const flags = mountPointOf(target, await readMountInfo())?.mountOptions ?? [];
  t.ok(flags.includes('ro'));
  t.ok(flags.includes('nosuid'));
  t.notOk(flags.includes('nodev'));
});

void t.test('a busy mount is refused by unmount and named in the error; lazily it goes', { skip }, async (t) => {
  const { mounter, makeDir } = await start(t);
  const target = await makeDir('target');
  await mounter.mount('tmpfs', target, 'tmpfs', []);
  const before = process.cwd();
  process.chdir(target);
  t.teardown(() => {
    process.chdir(before);
  });
  const error = await rejection(mounter.unmount(target));
  t.ok(error instanceof MountError && error.message.includes(target) && error.program === 'umount');
  await mounter.unmountLazy(target);
  t.equal(await mounter.isMountPoint(target), false);
});

void t.test('a failed mount names source and target and repeats what mount said', { skip }, async (t) => {
  const { mounter, dir } = await start(t);
  const error = await rejection(mounter.mount('tmpfs', join(dir, 'absent'), 'tmpfs', []));
  t.match(error, { name: 'MountError', program: 'mount', exitCode: 32 });
  t.match(
    (error as Error).message,
    /could not mount tmpfs at .*absent: mount exited with 32: .*mount point does not exist/,
  );
});

void t.test('unmount never takes an image file for the mount of its loop device', { skip }, async (t) => {
  const { mounter, makeDir, makeImage } = await start(t);
  const [image, target] = [await makeImage('image', 8 * 1024 * 1024), await makeDir('target')];
  await run('mkfs.ext4', '-q', '-F', image);
  await run('mount', '-o', 'loop', image, target);
  await mounter.unmount(image);
  t.equal(await mounter.isMountPoint(target), true);
});

void t.test(
  'the references of a directory that is no mount point are its binds; an absent path has none',
  { skip },
  async (t) => {
    const { mounter, dir, makeDir } = await start(t);
    const [source, target] = [await makeDir('source'), await makeDir('target')];
    await mkdir(join(source, 'inner'));
    await mounter.bindMount(join(source, 'inner'), target);
    t.strictSame(await mounter.getMountRefs(join(source, 'inner')), [target]);
    t.strictSame(await mounter.getMountRefs(source), []);
    t.strictSame(await mounter.getMountRefs(join(dir, 'absent')), []);
  },
);
