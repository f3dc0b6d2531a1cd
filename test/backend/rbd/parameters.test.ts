import t from 'tap';
import { checkNodeParameters, nodeContext, parseParameters } from '../../../src/backend/rbd/parameters.js';

const refused = (message: RegExp) => ({ code: 'INVALID_ARGUMENT', message });

t.test('a StorageClass that says nothing has defaults', (t) => {
  t.strictSame(parseParameters({}), {
    clusterId: '',
    pool: 'rbd',
    dataPool: undefined,
    ownPool: undefined,
    constrainedPools: [],
    features: 61n,
    headerBytes: 0n,
    namePrefix: 'csi-vol-',
    order: undefined,
    stripeUnitBytes: undefined,
    stripeCount: undefined,
  });
  t.end();
});

t.test('every parameter arrives', (t) => {
  const parameters = {
    backend: 'rbd',
    clusterID: 'b',
    pool: 'ssd',
    dataPool: 'ec',
    imageFeatures: 'layering, exclusive-lock',
    objectSize: '8388608',
    stripeUnit: '65536',
    stripeCount: '4',
    volumeNamePrefix: '',
    mounter: 'nbd',
    mapOptions: 'nbd:try-netlink',
    mkfsOptions: '-E nodiscard',
    encrypted: 'true',
  };
  t.strictSame(parseParameters(parameters), {
    clusterId: 'b',
    pool: 'ssd',
    dataPool: 'ec',
    ownPool: undefined,
    constrainedPools: [],
    features: 5n,
    headerBytes: 32n << 20n,
    namePrefix: '',
    order: 23,
    stripeUnitBytes: 65536n,
    stripeCount: 4n,
  });
  t.strictSame(nodeContext(parameters), {
    mounter: 'nbd',
    mapOptions: 'nbd:try-netlink',
    mkfsOptions: '-E nodiscard',
    encrypted: 'true',
  });
  t.strictSame(nodeContext({ pool: 'ssd' }), {});
  t.end();
});

const bad: readonly [string, Record<string, string>, RegExp][] = [
  ['an empty pool', { pool: '' }, /parameter pool is "", which is no pool name/],
  ['a pool with a slash', { pool: 'rbd/ns' }, /parameter pool is "rbd\/ns"/],
  ['a pool called ..', { pool: '..' }, /parameter pool is "\.\."/],
  ['a data pool with an at sign', { dataPool: 'a@b' }, /parameter dataPool is "a@b"/],
  ['an object size that is no power of two', { objectSize: '5000000' }, /objectSize must be a power of two/],
  ['an object size of 2 KiB', { objectSize: '2048' }, /from 4096/],
  ['an object size of 64 MiB', { objectSize: '67108864' }, /to 33554432/],
  ['an object size with a unit', { objectSize: '4M' }, /parameter objectSize is "4M"/],
  ['an object size of 0', { objectSize: '0' }, /parameter objectSize is "0"/],
  ['a negative stripe count', { stripeUnit: '65536', stripeCount: '-1' }, /parameter stripeCount is "-1"/],
  ['a stripe unit alone', { stripeUnit: '65536' }, /go together/],
  ['a stripe count alone', { stripeCount: '4' }, /go together/],
  ['a stripe unit that does not divide', { stripeUnit: '65537', stripeCount: '4' }, /must divide objectSize/],
  [
    'a stripe unit above the object size',
    { objectSize: '65536', stripeUnit: '131072', stripeCount: '4' },
    /must divide objectSize/,
  ],
  ['a prefix with a slash', { volumeNamePrefix: 'a/b' }, /volumeNamePrefix takes/],
  ['a prefix of 41 bytes', { volumeNamePrefix: 'a'.repeat(41) }, /at most 40 bytes/],
  ['encrypted that is neither', { encrypted: 'yes' }, /parameter encrypted is "yes": write "true" or "false"/],
  ['an unknown mounter', { mounter: 'kernel' }, /mounter is "kernel": use auto, krbd, nbd, userspace/],
  ['map options with a blank', { mapOptions: 'a, b' }, /mapOptions holds white space/],
  ['mkfs options with a line feed', { mkfsOptions: '-F\n-m0' }, /mkfsOptions holds control/],
  ['a parameter that does not exist', { pools: 'rbd' }, /parameter "pools" is unknown: did you mean "pool"/],
  ['a parameter of the in-tree plugin', { monitors: '10.0.0.1:6789' }, /parameter "monitors" belongs to an older/],
  ['an unknown feature', { imageFeatures: 'layring' }, /imageFeatures names "layring"/],
];

for (const [what, parameters, message] of bad) {
  t.test(`${what} is refused by the parameter's name`, (t) => {
    t.throws(() => parseParameters(parameters), refused(message));
    t.end();
  });
}

t.test('the smallest and the largest object size are those of librbd', (t) => {
  t.equal(parseParameters({ objectSize: '4096' }).order, 12);
  t.equal(parseParameters({ objectSize: '33554432' }).order, 25);
  t.end();
});

t.test('a volume context written by hand is judged as a StorageClass is', (t) => {
  t.doesNotThrow(() => {
    checkNodeParameters({ mounter: 'rbd-nbd', mapOptions: 'krbd:a=1,b', anything: 'else' });
  });
  t.throws(
    () => {
      checkNodeParameters({ mounter: '' });
    },
    refused(/^mounter is ""/),
  );
  t.throws(
    () => {
      checkNodeParameters({ mapOptions: 'ä' });
    },
    refused(/^mapOptions/),
  );
  t.end();
});
