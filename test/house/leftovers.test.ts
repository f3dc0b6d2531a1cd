import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { findLeftovers, removeLeftovers } from '../../scripts/testing/leftovers.js';

const MARK = 'CUTTLE_LEFTOVERS_TEST';
const skip = process.getuid?.() === 0 ? false : 'mounting needs root';

t.test('mounts, loop devices and processes of a run are found and removed', { skip }, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'left-'));
  t.teardown(async () => {
    await removeLeftovers(dir, MARK);
    await rm(dir, { recursive: true });
  });
  t.strictSame(await findLeftovers(dir, MARK), []);

  const mount = join(dir, 'a mount');
  await mkdir(mount);
  await execa('mount', ['-t', 'tmpfs', 'tmpfs', mount]);
  const image = join(dir, 'image');
  await writeFile(image, '');
  await truncate(image, 1 << 20);
  const { stdout: loop } = await execa('losetup', ['--find', '--show', image]);
  await rm(image); // the device outlives its file
  const child = spawn('sleep', ['300'], { env: { ...process.env, [MARK]: dir }, detached: true, stdio: 'ignore' });
  await once(child, 'spawn');

  const found = (await findLeftovers(dir, MARK)).map(({ text }) => text);
  t.equal(found.length, 3);
  t.match(found, [`mount at ${mount}`, `loop device ${loop} of ${image}`, `process ${child.pid ?? 0}: sleep 300`]);

  const ended = once(child, 'exit');
  await removeLeftovers(dir, MARK);
  t.strictSame(await ended, [null, 'SIGKILL']);
  t.strictSame(await findLeftovers(dir, MARK), []);
});

t.test('what belongs to another run is left alone', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'left-'));
  const other = spawn('sleep', ['300'], { env: { ...process.env, [MARK]: `${dir}-other` }, stdio: 'ignore' });
  await once(other, 'spawn');
  t.strictSame(await findLeftovers(dir, MARK), []);
  await removeLeftovers(dir, MARK);
  t.equal(other.exitCode ?? other.signalCode, null);
  other.kill();
  await rm(dir, { recursive: true });
});
