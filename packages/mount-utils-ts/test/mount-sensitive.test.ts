import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Exec } from '../src/exec.js';
import { mountPointOf, readMountInfo } from '../src/mount-info.js';
import { Mounter } from '../src/mounter.js';
import { rejection } from './support/rejection.js';
import { fakeExec } from './support/fake-exec.js';
import { realExec } from './support/real-exec.js';
import { notRoot, workspace } from './support/workspace.js';

const SECRET = 'hunter2-is-secret';

void t.test('a sensitive option takes effect and is in no argv', { skip: notRoot }, async (t) => {
  const { makeDir } = await workspace(t);
  const target = await makeDir('tar get#1');
  const argvs: string[] = [];
  const spying: Exec = (program, args, options) => {
    argvs.push([program, ...args].join(' '));
    return realExec(program, args, options);
  };
  await new Mounter({ exec: spying }).mountSensitive('a src', target, 'tmpfs', ['noexec'], ['size=4096k', 'mode=0711']);
  const mounted = mountPointOf(target, await readMountInfo());
  t.match(mounted, { source: 'a src', fsType: 'tmpfs' });
  t.ok(mounted?.superOptions.includes('size=4096k'));
  t.ok(mounted?.mountOptions.includes('noexec'));
  t.notMatch(argvs.join('\n'), /4096k|0711/);
});

void t.test(
  'the file that carries the options is readable by its owner alone, in memory, and gone afterwards',
  async (t) => {
    let seen = { mode: 0, text: '', dirMode: 0, fstab: '' };
    const { exec } = fakeExec({
      mount: async ({ args }) => {
        const fstab = args[args.indexOf('--fstab') + 1] ?? '';
        const [file, dir] = await Promise.all([stat(fstab), stat(dirname(fstab))]);
        seen = { mode: file.mode & 0o777, dirMode: dir.mode & 0o777, text: await readFile(fstab, 'utf8'), fstab };
        return {};
      },
    });
    await new Mounter({ exec, helperDirs: [] }).mountSensitive('src', '/t', 'x', ['ro'], [`secret=${SECRET}`]);
    t.equal(seen.mode, 0o600);
    t.equal(seen.dirMode, 0o700);
    t.equal(seen.text, `src /t x ro,secret=${SECRET} 0 0\n`);
    await t.rejects(stat(dirname(seen.fstab)), { code: 'ENOENT' });
  },
);

void t.test('a failed mount masks the secret that the program repeats, and removes the file', async (t) => {
  const before = await readdir('/dev/shm');
  const { exec } = fakeExec({ mount: { exitCode: 32, stderr: `bad option secret=${SECRET}; bad value ${SECRET}` } });
  const error = await rejection(
    new Mounter({ exec, helperDirs: [] }).mountSensitive('src', '/t', 'x', [], [`secret=${SECRET}`]),
  );
  t.match((error as Error).message, /bad option \*\*\*; bad value \*\*\*/);
  t.notMatch(JSON.stringify(error) + String((error as Error).stack), SECRET);
  t.strictSame(await readdir('/dev/shm'), before);
});

void t.test('a type that has a mount helper is refused: the helper would get the secret in its argv', async (t) => {
  const { dir } = await workspace(t);
  await writeFile(join(dir, 'mount.some'), '');
  const { exec, calls } = fakeExec();
  const mounter = new Mounter({ exec, helperDirs: [dir] });
  for (const type of ['some', 'some.sub']) {
    await t.rejects(mounter.mountSensitive('s', '/t', type, [], [`key=${SECRET}`]), /mount\.some would be given/);
  }
  t.strictSame(calls, []);
});

void t.test('without a directory in memory a sensitive mount is refused', async (t) => {
  const { exec, calls } = fakeExec();
  const mounter = new Mounter({ exec, helperDirs: [], secretDirs: ['/proc', '/absent'] });
  await t.rejects(mounter.mountSensitive('s', '/t', 'x', [], [`key=${SECRET}`]), /none of \/proc, \/absent is a tmpfs/);
  t.strictSame(calls, []);
});

void t.test('without sensitive options it is a plain mount', async (t) => {
  const { exec, calls } = fakeExec();
  await new Mounter({ exec }).mountSensitive('s', '/t', 'x', ['ro'], []);
  t.strictSame(calls[0]?.args, ['-t', 'x', '-o', 'ro', '--', 's', '/t']);
});
