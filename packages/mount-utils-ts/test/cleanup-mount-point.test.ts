import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { cleanupMountPoint } from '../src/cleanup-mount-point.js';
import { FakeMounter } from '../src/fake-mounter.js';
import { Mounter } from '../src/mounter.js';
import { pathExists } from '../src/path-within-base.js';
import { realExec } from './support/real-exec.js';
import { notRoot, workspace } from './support/workspace.js';

const skip = notRoot;

async function start(t: Test) {
  const space = await workspace(t);
  return { ...space, mounter: new Mounter({ exec: realExec }) };
}

void t.test('all layers come off and the directory goes', { skip }, async (t) => {
  const { mounter, makeDir } = await start(t);
  const target = await makeDir('target');
  for (let layer = 0; layer < 5; layer++) await mounter.mount('tmpfs', target, 'tmpfs', []);
  await cleanupMountPoint(target, mounter);
  t.equal(await pathExists(target), false);
  t.equal(await mounter.isMountPoint(target), false);
});

void t.test('an absent path is fine', async (t) => {
  const { mounter, dir } = await start(t);
  await cleanupMountPoint(join(dir, 'absent'), mounter);
  t.equal(await pathExists(dir), true);
});

void t.test('a mount whose root is absent, as that of a client which was shut out, is detached', async (t) => {
  const { dir } = await start(t);
  const target = join(dir, 'rootless');
  const mounter = new FakeMounter();
  await mounter.mount('server:/', target, 'fuse', []);
  await cleanupMountPoint(target, mounter);
  t.match(mounter.actions.at(-1), { action: 'unmountLazy', target });
  t.equal(await mounter.isMountPoint(target), false);
});

void t.test('a file that was bound over is unmounted and removed; its source stays', { skip }, async (t) => {
  const { mounter, dir, makeImage } = await start(t);
  await writeFile(join(dir, 'source'), 'content');
  const target = await makeImage('target', 0);
  await mounter.bindMount(join(dir, 'source'), target);
  await cleanupMountPoint(target, mounter);
  t.equal(await pathExists(target), false);
  t.equal(await readFile(join(dir, 'source'), 'utf8'), 'content');
});

void t.test('a directory that is not empty stays, with everything in it', async (t) => {
  const { mounter, makeDir } = await start(t);
  const target = await makeDir('target');
  await mkdir(join(target, 'inner'));
  await writeFile(join(target, 'inner', 'data'), 'precious');
  await t.rejects(cleanupMountPoint(target, mounter), /was left in place: it is not empty/);
  t.equal(await readFile(join(target, 'inner', 'data'), 'utf8'), 'precious');
});

void t.test('data in the volume is not touched when its mount point is cleaned', { skip }, async (t) => {
  const { mounter, makeDir } = await start(t);
  const [source, target] = [await makeDir('source'), await makeDir('target')];
  await writeFile(join(source, 'data'), 'precious');
  await mounter.bindMount(source, target);
  await cleanupMountPoint(target, mounter);
  t.equal(await pathExists(target), false);
  t.equal(await readFile(join(source, 'data'), 'utf8'), 'precious');
});

void t.test('a file with content and a symbolic link are left in place', async (t) => {
  const { mounter, dir } = await start(t);
  await writeFile(join(dir, 'file'), 'content');
  await symlink(dir, join(dir, 'link'));
  await t.rejects(cleanupMountPoint(join(dir, 'file'), mounter), /neither a directory nor an empty file/);
  await t.rejects(cleanupMountPoint(join(dir, 'link'), mounter), /neither a directory nor an empty file/);
  t.equal(await readFile(join(dir, 'file'), 'utf8'), 'content');
  t.equal(await pathExists(join(dir, 'link')), true);
});

void t.test('the quick way never removes a bind mount that one stat cannot see', { skip }, async (t) => {
  const { mounter, makeDir } = await start(t);
  const [source, target] = [await makeDir('source'), await makeDir('target')];
  await mounter.bindMount(source, target);
  await t.rejects(cleanupMountPoint(target, mounter, { extensive: false }), /still a mount point/);
  t.equal(await mounter.isMountPoint(target), true);
  await cleanupMountPoint(target, mounter);
  t.equal(await pathExists(target), false);
});

void t.test('a busy mount is an error and stays', { skip }, async (t) => {
  const { mounter, makeDir } = await start(t);
  const target = await makeDir('target');
  await mounter.mount('tmpfs', target, 'tmpfs', []);
  const before = process.cwd();
  process.chdir(target);
  t.teardown(() => {
    process.chdir(before);
  });
  await t.rejects(cleanupMountPoint(target, mounter), /could not unmount/);
  t.equal(await mounter.isMountPoint(target), true);
});

void t.test('a mount point that never comes free is given up after a bounded number of tries', async (t) => {
  const { makeDir } = await start(t);
  const target = await makeDir('target');
  const endless = new FakeMounter();
  endless.isMountPoint = () => Promise.resolve(true);
  await t.rejects(cleanupMountPoint(target, endless), /still a mount point after 64 unmounts/);
  t.equal(endless.actions.length, 64);
  t.equal(await pathExists(target), true);
});

void t.test('an aborted cleanup stops between two unmounts', async (t) => {
  const { makeDir } = await start(t);
  const target = await makeDir('target');
  const mounter = new FakeMounter();
  await mounter.mount('tmpfs', target, 'tmpfs', []);
  await t.rejects(cleanupMountPoint(target, mounter, {}, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  t.equal(await pathExists(target), true);
});
