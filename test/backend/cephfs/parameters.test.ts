import t from 'tap';
import { nodeContext, parseParameters } from '../../../src/backend/cephfs/parameters.js';

const refused = (message: RegExp) => ({ code: 'INVALID_ARGUMENT', message });

t.test('a StorageClass that says nothing has defaults', (t) => {
  t.strictSame(parseParameters({ backend: 'cephfs' }), {
    clusterId: '',
    fsName: undefined,
    pool: undefined,
    maxFiles: undefined,
    mode: 0o777,
    owner: undefined,
    namespaceIsolated: false,
    namePrefix: 'csi-vol-',
    backingSnapshot: undefined,
  });
  t.end();
});

t.test('every parameter arrives', (t) => {
  const parameters = {
    backend: 'cephfs',
    clusterID: 'b',
    fsName: 'größe',
    pool: 'ssd',
    maxFiles: '1000000',
    mode: '0750',
    uid: '0',
    gid: '4294967294',
    namespaceIsolated: 'true',
    volumeNamePrefix: '',
    backingSnapshot: 'true',
    mounter: 'fuse',
    kernelMountOptions: 'ms_mode=crc',
    fuseMountOptions: 'noatime',
  };
  t.strictSame(parseParameters(parameters), {
    clusterId: 'b',
    fsName: 'größe',
    pool: 'ssd',
    maxFiles: 1_000_000n,
    mode: 0o750,
    owner: { uid: 0, gid: 4_294_967_294 },
    namespaceIsolated: true,
    namePrefix: '',
    backingSnapshot: true,
  });
  t.strictSame(nodeContext(parameters), {
    mounter: 'fuse',
    kernelMountOptions: 'ms_mode=crc',
    fuseMountOptions: 'noatime',
  });
  t.strictSame(nodeContext({ fsName: 'a' }), {});
  t.end();
});

const bad: readonly [string, Record<string, string>, RegExp][] = [
  ['an empty file system', { fsName: '' }, /parameter fsName is "", which is no file system name/],
  ['a pool with a slash', { pool: 'a/b' }, /parameter pool is "a\/b", which is no pool name/],
  ['no files at all', { maxFiles: '0' }, /parameter maxFiles is "0": write how many/],
  ['a number of files with a unit', { maxFiles: '1k' }, /maxFiles is "1k"/],
  ['a number of files past 64 bits', { maxFiles: '9999999999999999999' }, /maxFiles/],
  ['a mode that is not octal', { mode: '0780' }, /parameter mode is "0780": .*octal/],
  ['a mode of one digit', { mode: '7' }, /parameter mode/],
  ['a symbolic mode', { mode: 'u+rwx' }, /parameter mode/],
  ['a user without a group', { uid: '1000' }, /uid and gid go together/],
  ['a group without a user', { gid: '1000' }, /uid and gid go together/],
  ['a user by name', { uid: 'root', gid: '0' }, /parameter uid is "root": write a number/],
  ['the user that chown takes for none', { uid: '4294967295', gid: '0' }, /parameter uid .* to 4294967294/],
  ['a truth that is neither', { namespaceIsolated: 'yes' }, /namespaceIsolated is "yes": write "true" or "false"/],
  ['a prefix that hides the directory', { volumeNamePrefix: '.vol-' }, /volumeNamePrefix .* can't start with/],
  ['a prefix of the volumes module', { volumeNamePrefix: '_vol-' }, /volumeNamePrefix .* can't start with/],
  ['a prefix with a slash', { volumeNamePrefix: 'a/' }, /volumeNamePrefix/],
  ['a prefix of 41 bytes', { volumeNamePrefix: 'a'.repeat(41) }, /at most 40 bytes/],
  ['encryption', { encrypted: 'true' }, /^encrypted is for backend "rbd"/],
  ['a parameter of RBD', { imageFeatures: 'layering' }, /parameter "imageFeatures" is unknown/],
  ['a parameter of the old provisioner', { claimRoot: '/volumes' }, /claimRoot.*volumeNamePrefix/],
];

for (const [what, parameters, message] of bad) {
  t.test(`${what} is refused`, (t) => {
    t.throws(() => parseParameters({ backend: 'cephfs', ...parameters }), refused(message));
    t.end();
  });
}
