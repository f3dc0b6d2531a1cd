import t from 'tap';
import { pathBelowRoot, splitPath } from '../../src/ceph/file-system-path.js';
import { isCephError } from '../../src/ceph/ceph-error.js';

t.test('a path of the file system is found below the mounted root', (t) => {
  const cases: [string, string, string][] = [
    ['/', '/', '/'],
    ['/', '/a/b', '/a/b'],
    ['/', '//a/b/', '/a/b'],
    ['/volumes/csi', '/volumes/csi', '/'],
    ['/volumes/csi/', '/volumes/csi/x y', '/x y'],
    ['/volumes/csi', '/volumes/csi/..x/.y', '/..x/.y'],
  ];
  for (const [root, path, local] of cases) t.equal(pathBelowRoot('fs', root, path), local, `${path} below ${root}`);
  t.end();
});

t.test('a path outside of the root, or one that could lead there, is refused', (t) => {
  const cases: [string, string, number][] = [
    ['/volumes/csi', '/volumes', 13],
    ['/volumes/csi', '/', 13],
    ['/volumes/csi', '/volumes/csi-2/a', 13],
    ['/volumes/csi', '/volumes/csi/../other', 22],
    ['/', '/a/./b', 22],
    ['/', 'a/b', 22],
    ['/', '', 22],
    ['/', '/a\0', 22],
  ];
  for (const [root, path, errno] of cases) {
    try {
      t.fail(pathBelowRoot('fs', root, path));
    } catch (error) {
      t.ok(isCephError(error, errno), `${JSON.stringify(path)} below ${root}`);
    }
  }
  t.end();
});

t.test('a path is split into its directory and its name there', (t) => {
  t.same(splitPath('/a/b/c'), { parent: '/a/b', name: 'c' });
  t.same(splitPath('/a/'), { parent: '/', name: 'a' });
  t.same(splitPath('/'), { parent: '/', name: '' });
  t.end();
});
