import t from 'tap';
import { showsDirectory } from '../../../src/backend/cephfs/kernel-source.js';
import { entry, id } from './fake-mounters.js';

const own: readonly [string, string[]][] = [
  ['10.0.0.1:6789,10.0.0.2:6789:/volumes/csi/x', ['rw', 'name=k8s', 'secret=<hidden>', 'mds_namespace=cephfs', 'acl']],
  ['[fd00::1]:6789:/volumes/csi/x', ['rw', 'mds_namespace=cephfs']],
  ['k8s@aaf3a9b4-33bb-4a1b-8d2c-000000000001.cephfs=/volumes/csi/x', ['rw', 'mon_addr=10.0.0.1:6789']],
  ['k8s@.cephfs=/volumes/csi/x', ['rw']],
];
const others: readonly [string, string[]][] = [
  ['10.0.0.1:6789:/volumes/csi/x', ['rw', 'mds_namespace=other']],
  ['10.0.0.1:6789:/volumes/csi/x', ['rw']],
  ['10.0.0.1:6789:/volumes/csi/xy', ['rw', 'mds_namespace=cephfs']],
  ['10.0.0.1:6789:/', ['rw', 'mds_namespace=cephfs']],
  ['k8s@aaf3a9b4-33bb-4a1b-8d2c-000000000001.other=/volumes/csi/x', ['rw']],
  ['k8s@aaf3a9b4-33bb-4a1b-8d2c-000000000001.cephfs=/volumes', ['rw']],
];

t.test('a kernel mount shows the directory by its source, in the older and the newer syntax', (t) => {
  for (const [source, superOptions] of own) t.ok(showsDirectory(entry({ source, superOptions }), id), source);
  for (const [source, superOptions] of others) t.notOk(showsDirectory(entry({ source, superOptions }), id), source);
  t.notOk(showsDirectory(entry({ fsType: 'nfs', source: own[0]?.[0] ?? '', superOptions: own[0]?.[1] ?? [] }), id));
  t.end();
});

t.test('paths may hold what separates elsewhere', (t) => {
  const odd = { ...id, path: '/a:b/c=d @ e.f', fsName: 'my.fs' };
  t.ok(showsDirectory(entry({ source: `10.0.0.1:6789:${odd.path}`, superOptions: ['mds_namespace=my.fs'] }), odd));
  t.end();
});

t.test('what shows a snapshot is mounted from whichever directory of the file system has that', (t) => {
  const view = { ...id, isView: true } as const;
  for (const [source, superOptions] of own) {
    const elsewhere = source.replace('/volumes/csi/x', '/volumes/csi/.cuttle/deleted/y.1');
    t.ok(showsDirectory(entry({ source: elsewhere, superOptions }), view), elsewhere);
    t.notOk(showsDirectory(entry({ source: elsewhere, superOptions }), id), elsewhere);
  }
  t.notOk(showsDirectory(entry({ source: '10.0.0.1:6789:/a', superOptions: ['mds_namespace=other'] }), view));
  t.end();
});
