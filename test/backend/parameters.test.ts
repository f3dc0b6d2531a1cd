import t from 'tap';
import { refuseUnknownParameters } from '../../src/backend/parameters.js';

const known = ['pool', 'dataPool', 'clusterID', 'imageFeatures'];

t.test('known parameters and those of the provisioner pass', (t) => {
  t.doesNotThrow(() => {
    refuseUnknownParameters({}, known);
    refuseUnknownParameters(
      { pool: 'x', 'csi.storage.k8s.io/pv/name': 'y', 'csi.storage.k8s.io/fstype': 'xfs' },
      known,
    );
  });
  t.end();
});

for (const [name, nearest] of [
  ['Pool', 'pool'],
  ['datapool', 'dataPool'],
  ['clusterId', 'clusterID'],
  ['imagefeatures', 'imageFeatures'],
] as const) {
  t.test(`the unknown parameter ${name} is refused by name, with ${nearest} as the nearest known one`, (t) => {
    t.throws(
      () => {
        refuseUnknownParameters({ pool: 'x', [name]: 'y' }, known);
      },
      {
        code: 'INVALID_ARGUMENT',
        message: `parameter "${name}" is unknown: did you mean "${nearest}"? Known are ${known.join(', ')}`,
      },
    );
    t.end();
  });
}

const former: readonly [string, RegExp][] = [
  ['monitors', /list the monitors in the driver's configuration.*clusterID/],
  ['adminId', /adminID and adminKey into the Secret/],
  ['adminSecretName', /provisioner-secret-name/],
  ['adminSecretNamespace', /provisioner-secret-namespace/],
  ['userId', /userID and userKey into the Secret/],
  ['userSecretName', /node-stage-secret-name/],
  ['userSecretNamespace', /node-stage-secret-namespace/],
  ['fsType', /csi\.storage\.k8s\.io\/fstype/],
  ['imageFormat', /leave it out/],
  ['claimRoot', /volumeNamePrefix/],
  ['unmapOptions', /unmapOptions on the cluster/],
];

for (const [name, replacement] of former) {
  t.test(`the parameter ${name} of an older plugin is refused with what replaces it`, (t) => {
    t.throws(
      () => {
        refuseUnknownParameters({ [name]: 'x' }, known);
      },
      { code: 'INVALID_ARGUMENT', message: replacement },
    );
    t.throws(
      () => {
        refuseUnknownParameters({ [name]: 'x' }, known);
      },
      { message: new RegExp(`^parameter "${name}" belongs to an older Ceph plugin: `) },
    );
    t.end();
  });
}

t.test('a name that means something to JavaScript is just unknown', (t) => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty'])
    t.throws(
      () => {
        refuseUnknownParameters({ [name]: 'x' }, known);
      },
      { code: 'INVALID_ARGUMENT', message: /is unknown: did you mean/ },
      name,
    );
  t.end();
});
