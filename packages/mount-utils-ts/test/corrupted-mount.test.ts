import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { cleanupMountPoint } from '../src/cleanup-mount-point.js';
import { isCorruptedMount, probePath } from '../src/corrupted-mount.js';
import { pathExists } from '../src/path-within-base.js';
import { Mounter } from '../src/mounter.js';
import { noFuseDaemon, startFuseDaemon } from './support/fuse-daemon.js';
import { realExec } from './support/real-exec.js';
import { workspace } from './support/workspace.js';

const systemError = (code: string, errno: number) => Object.assign(new Error(code), { code, errno });

void t.test('errors of a mount whose server is gone are told from ordinary ones', (t) => {
  for (const code of ['ENOTCONN', 'ESTALE', 'EIO', 'EACCES', 'EHOSTDOWN', 'EAGAIN', 'ESHUTDOWN', 'ECONNABORTED']) {
    t.equal(isCorruptedMount(systemError(code, -1)), true, code);
  }
  for (const code of ['ENOENT', 'EPERM', 'EBUSY', 'EROFS', 'ENOSPC']) {
    t.equal(isCorruptedMount(systemError(code, -2)), false, code);
  }
  for (const value of [undefined, null, 'EIO', new Error('EIO'), { code: 'EIO' }]) {
    t.equal(isCorruptedMount(value), false);
  }
  t.end();
});

void t.test('an error number that node has no name for counts too', (t) => {
  t.equal(isCorruptedMount(systemError('Unknown system error -116', -116)), true, 'ESTALE');
  t.equal(isCorruptedMount(systemError('Unknown system error -127', -127)), true, 'EKEYEXPIRED');
  t.equal(isCorruptedMount(systemError('Unknown system error -117', -117)), false, 'EUCLEAN');
  t.end();
});

void t.test('a path is present or absent, and other errors are thrown', async (t) => {
  const { dir } = await workspace(t);
  await writeFile(join(dir, 'file'), '');
  t.equal(await probePath(dir, 1_000), 'present');
  t.equal(await probePath(join(dir, 'absent'), 1_000), 'absent');
  t.equal(await probePath(join(dir, 'file', 'below'), 1_000), 'absent');
  await t.rejects(probePath(join(dir, 'x'.repeat(300)), 1_000), { code: 'ENAMETOOLONG' });
});

void t.test(
  'a stopped FUSE daemon makes a path hang, however often it is asked, and a killed one corrupts it',
  { skip: noFuseDaemon },
  async (t) => {
    const space = await workspace(t);
    const { mountPoint, pid } = await startFuseDaemon(space);
    t.equal(await probePath(mountPoint, 2_000), 'present');
    process.kill(pid, 'SIGSTOP');
    // The kernel keeps the attributes for a second.
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    const started = Date.now();
    // More probes than libuv has threads: each must answer, and other file system calls too.
    const states = await Promise.all(Array.from({ length: 12 }, () => probePath(mountPoint, 300)));
    t.strictSame(new Set(states), new Set(['hung']));
    t.equal(await pathExists(space.dir), true);
    t.ok(Date.now() - started < 2_000);
    process.kill(pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 300));
    t.equal(await probePath(mountPoint, 2_000), 'corrupted');
  },
);

void t.test('a path whose hung mount was detached is asked anew', { skip: noFuseDaemon }, async (t) => {
  const { mountPoint, pid } = await startFuseDaemon(await workspace(t));
  process.kill(pid, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 1_300));
  t.equal(await probePath(mountPoint, 300), 'hung');
  await new Mounter({ exec: realExec }).unmountLazy(mountPoint);
  t.equal(await probePath(mountPoint, 300), 'present', 'it is a plain directory again');
});

void t.test('what waits for a dead mount fails when that is unmounted', { skip: noFuseDaemon }, async (t) => {
  const { mountPoint, pid } = await startFuseDaemon(await workspace(t));
  process.kill(pid, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 1_300));
  let isOver = false;
  const waiting = stat(mountPoint).catch((error: unknown) => {
    isOver = true;
    return error;
  });
  t.equal(await probePath(mountPoint, 300), 'hung');
  t.equal(isOver, false);
  await new Mounter({ exec: realExec }).unmountDead(mountPoint);
  t.match(await waiting, { code: /^E(?:CONNABORTED|NOTCONN)$/ }, 'although its daemon is still there, and silent');
  t.equal(await probePath(mountPoint, 300), 'present', 'it is a plain directory again');
});

for (const [what, signal] of [
  ['corrupted', 'SIGKILL'],
  ['hung', 'SIGSTOP'],
] as const) {
  void t.test(
    `a ${what} mount is found in the table, detached, and its mount point removed`,
    { skip: noFuseDaemon },
    async (t) => {
      const space = await workspace(t);
      const { mountPoint, pid } = await startFuseDaemon(space);
      process.kill(pid, signal);
      await new Promise((resolve) => setTimeout(resolve, 1_300));
      t.equal(await probePath(mountPoint, 500), what);
      const mounter = new Mounter({ exec: realExec });
      t.equal(await mounter.isMountPoint(mountPoint), true);
      await cleanupMountPoint(mountPoint, mounter, { probeTimeoutMs: 500 });
      t.equal(await mounter.isMountPoint(mountPoint), false);
      t.equal(await pathExists(mountPoint), false);
    },
  );
}
