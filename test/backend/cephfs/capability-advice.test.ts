import t from 'tap';
import { capabilityAdvice } from '../../../src/backend/cephfs/capability-advice.js';
import { id } from './fake-mounters.js';

const commands: readonly [string, string][] = [
  [
    '/volumes/csi/x',
    "ceph auth caps client.k8s mon 'allow r fsname=cephfs' mds 'allow rw fsname=cephfs path=/volumes/csi' osd 'allow rw tag cephfs data=cephfs' ",
  ],
  ['/data', "mds 'allow rw fsname=cephfs path=/data' osd"],
  ['/', "mds 'allow rw fsname=cephfs' osd"],
  ['/große daten/x', `mds 'allow rw fsname=cephfs path="/große daten"' osd`],
  ["/it's/x", `path="/it'\\''s"' osd`],
  ['/"now"/x', `path='\\''/"now"'\\''' osd`],
];

t.test('a user that has to do more than mount is not to lose that', (t) => {
  t.match(capabilityAdvice(id, 'k8s'), /replaces what the user has.*also makes volumes needs rwps/);
  t.end();
});

for (const [path, command] of commands) {
  t.test(`the command for ${path} is ready for a shell`, (t) => {
    t.match(capabilityAdvice({ ...id, path }, 'k8s'), command);
    t.end();
  });
}
