import t from 'tap';
import {
  isWithin,
  mountRoots,
  parentOf,
  refuseUndeletable,
  trashName,
  trashPath,
} from '../../../src/backend/cephfs/volume-paths.js';

const idOf = (path: string) => ({ backend: 'cephfs', clusterId: 'a', fsName: 'fs', path }) as const;

t.test('a mount reaches the volume from as high as may be', (t) => {
  t.strictSame(mountRoots('/volumes/csi', '/volumes/csi/a'), ['/', '/volumes/csi', '/volumes/csi/a']);
  t.strictSame(mountRoots('/volumes/csi', '/k8s_test'), ['/', '/k8s_test']);
  t.strictSame(mountRoots('/volumes/csi', '/home/x/y'), ['/', '/home/x', '/home/x/y']);
  t.strictSame(mountRoots('/volumes/csi', '/'), ['/']);
  t.end();
});

t.test('within means the directory itself or below, never a longer name beside it', (t) => {
  t.ok(isWithin('/a/b', '/a'));
  t.ok(isWithin('/a', '/a'));
  t.ok(isWithin('/a', '/'));
  t.notOk(isWithin('/ab', '/a'));
  t.notOk(isWithin('/a', '/a/b'));
  t.end();
});

t.test('a parent is a directory, up to the root', (t) => {
  t.strictSame(['/a/b', '/a', '/'].map(parentOf), ['/a', '/', '/']);
  t.end();
});

t.test('the trash lies in the group, and keeps the name that a person looks for', (t) => {
  t.equal(trashPath('/volumes/csi'), '/volumes/csi/.cuttle/trash');
  t.equal(trashPath('/'), '/.cuttle/trash');
  t.equal(trashName('/volumes/csi/csi-vol-1', '00ff'), 'csi-vol-1.00ff');
  t.end();
});

t.test('a directory that holds the volumes, or is none, is never deleted', (t) => {
  for (const [path, why] of [
    ['/', /it holds \/volumes\/csi/],
    ['/volumes', /it holds \/volumes\/csi/],
    ['/volumes/csi', /it holds \/volumes\/csi/],
    ['/volumes/csi/.cuttle', /the driver's own directory/],
    ['/volumes/csi/.cuttle/trash', /the driver's own directory/],
    ['/volumes/csi/a/.snap/one', /it is a snapshot/],
  ] as const) {
    t.throws(
      () => {
        refuseUndeletable(idOf(path), '/volumes/csi');
      },
      { code: 'FAILED_PRECONDITION', message: why },
    );
  }
  for (const path of ['/volumes/csi/a', '/volumes/csi-other', '/k8s_test', '/volumes/kubernetes/x']) {
    t.doesNotThrow(() => {
      refuseUndeletable(idOf(path), '/volumes/csi');
    }, path);
  }
  t.end();
});
