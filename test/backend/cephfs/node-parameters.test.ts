import t from 'tap';
import { checkMountOptions, nodeContext, parseNodeParameters } from '../../../src/backend/cephfs/node-parameters.js';

t.test('without parameters, auto mounts without options', (t) => {
  t.strictSame(parseNodeParameters({}), { mounter: 'auto', options: { kernel: [], fuse: [] } });
  t.end();
});

t.test('options are separated by commas, for each mounter its own', (t) => {
  const parameters = {
    mounter: 'kernel',
    kernelMountOptions: 'noatime,,ms_mode=crc',
    fuseMountOptions: 'max_read=4096',
  };
  t.strictSame(parseNodeParameters(parameters), {
    mounter: 'kernel',
    options: { kernel: ['noatime', 'ms_mode=crc'], fuse: ['max_read=4096'] },
  });
  t.end();
});

const refused: readonly [Record<string, string>, RegExp][] = [
  [{ mounter: 'ceph-fuse' }, /^mounter is "ceph-fuse": use auto, kernel, fuse$/],
  [{ mounter: '' }, /^mounter is ""/],
  [{ kernelMountOptions: 'noatime, nodev' }, /^kernelMountOptions holds white space/],
  [{ fuseMountOptions: 'a\u0001' }, /^fuseMountOptions holds white space, control characters/],
  [{ fuseMountOptions: '--conf=/etc/x' }, /or a dash at a start/],
  [
    { kernelMountOptions: 'noatime,secret=AQDxyz' },
    /^kernelMountOptions carries a secret \("secret=..."\): put the key/,
  ],
  [{ kernelMountOptions: 'secretfile=/etc/x' }, /carries a secret \("secretfile=/],
  [{ fuseMountOptions: 'keyring=/etc/x' }, /^fuseMountOptions carries a secret \("keyring=/],
  [{ kernelMountOptions: 'name=admin' }, /^kernelMountOptions sets "name", which Cuttle sets itself/],
  [{ kernelMountOptions: 'mds_namespace=x' }, /sets "mds_namespace"/],
  [{ kernelMountOptions: 'fs=x' }, /sets "fs"/],
  [{ fuseMountOptions: 'fsname=x' }, /sets "fsname"/],
];

for (const [parameters, message] of refused) {
  t.test(`${JSON.stringify(parameters)} is refused, without its value`, (t) => {
    t.throws(() => parseNodeParameters(parameters), { code: 'INVALID_ARGUMENT', message });
    try {
      parseNodeParameters(parameters);
    } catch (error) {
      t.notMatch(String(error), 'AQDxyz');
    }
    t.end();
  });
}

t.test('mount flags of a capability are held to the same', (t) => {
  t.throws(
    () => {
      checkMountOptions('mount_flags', ['noatime', 'subtype=x']);
    },
    { message: /^mount_flags sets "subtype"/ },
  );
  t.doesNotThrow(() => {
    checkMountOptions('mount_flags', ['noatime', 'names=x']);
  });
  t.end();
});

t.test('the volume context takes over what the node needs, and nothing else', (t) => {
  const parameters = { mounter: 'fuse', fsName: 'x', fuseMountOptions: 'noatime' };
  t.strictSame(nodeContext(parameters), { mounter: 'fuse', fuseMountOptions: 'noatime' });
  t.end();
});
