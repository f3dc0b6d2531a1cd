import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { pathExists, pathWithinBase, resolveParent } from '../src/path-within-base.js';
import { workspace } from './support/workspace.js';

void t.test('a base holds itself and what is below it, and nothing that only begins alike', (t) => {
  const cases: [string, string, boolean][] = [
    ['/a/b', '/a', true],
    ['/a', '/a', true],
    ['/a/', '/a', true],
    ['/ab', '/a', false],
    ['/a/../b', '/a', false],
    ['/', '/a', false],
    ['/a/..b', '/a', true],
    ['/anything', '/', true],
  ];
  for (const [path, base, within] of cases) t.equal(pathWithinBase(path, base), within, `${path} in ${base}`);
  t.end();
});

void t.test('a dangling link exists, an absent path and one below a file do not', async (t) => {
  const { dir, makeImage } = await workspace(t);
  const file = await makeImage('file', 0);
  await symlink('nowhere', join(dir, 'link'));
  t.equal(await pathExists(join(dir, 'link')), true);
  t.equal(await pathExists(join(dir, 'absent')), false);
  t.equal(await pathExists(join(file, 'below')), false);
});

void t.test('links above the last component are resolved, the last one is left alone', async (t) => {
  const { dir } = await workspace(t);
  await mkdir(join(dir, 'real'));
  await symlink('real', join(dir, 'link'));
  t.equal(await resolveParent(join(dir, 'link', 'x')), join(dir, 'real', 'x'));
  t.equal(await resolveParent(join(dir, 'link')), join(dir, 'link'));
  t.equal(await resolveParent(join(dir, 'absent', 'x')), join(dir, 'absent', 'x'));
});
