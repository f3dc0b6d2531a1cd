import { parseMountInfo } from 'mount-utils-ts';
import t from 'tap';
import { mountedDirectories } from '../../../src/backend/cephfs/mounted-directories.js';

const table = parseMountInfo(
  [
    '40 1 0:50 / /stage/a rw - ceph 10.0.0.1:6789:/volumes/csi/a rw,name=kube,mds_namespace=cephfs',
    '41 1 0:50 / /publish/a rw - ceph 10.0.0.1:6789:/volumes/csi/a rw,name=kube,mds_namespace=cephfs',
    '42 1 0:51 / /stage/b rw - ceph 10.0.0.1:6789:/volumes/csi/b rw,name=kube,mds_namespace=cephfs',
    '43 1 0:60 / /stage/c rw - fuse.ceph-fuse cephfs:default:cephfs:/volumes/csi/c rw',
    '44 1 0:60 / /publish/c rw - fuse.ceph-fuse cephfs:default:cephfs:/volumes/csi/c rw',
    '45 1 0:61 / /mnt rw - fuse.ceph-fuse ceph-fuse rw',
    '46 1 0:62 / /run/image rw - fuse.qemu-storage-daemon /dev/fuse rw',
    '47 1 8:1 / / rw - ext4 /dev/sda1 rw',
  ].join('\n'),
);

t.test("directories are counted by mounter: binds once, others' mounts of ceph-fuse not", (t) => {
  t.equal(table.length, 8);
  t.same(Object.fromEntries(mountedDirectories(table)), { kernel: 2, fuse: 1 });
  t.same(Object.fromEntries(mountedDirectories([])), { kernel: 0, fuse: 0 });
  t.end();
});
