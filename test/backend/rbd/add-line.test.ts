import t from 'tap';
import { addLine, removeLine } from '../../../src/backend/rbd/add-line.js';
import type { MapRequest } from '../../../src/backend/rbd/mapper.js';
import { Secret } from '../../../src/platform/secret.js';

const request: MapRequest = {
  id: { backend: 'rbd', clusterId: 'a', pool: 'ssd', namespace: '', image: 'csi-vol-1' },
  readOnly: false,
  monitors: '[v2:10.0.0.1:3300,v1:10.0.0.1:6789],[v2:[fd00::2]:3300,v1:[fd00::2]:6789]',
  user: 'kube',
  key: new Secret('marker-key-7d2a'),
  keyring: undefined,
  features: 1n,
  options: [],
};
const inNamespace = { ...request.id, namespace: 'team' };

const said: readonly [string, Partial<MapRequest>, string][] = [
  ['a plain image', {}, '10.0.0.1:6789,[fd00::2]:6789 name=kube,key=K,mount_timeout=30 ssd csi-vol-1 -'],
  [
    'read-only, in a namespace, with options',
    { readOnly: true, id: inNamespace, monitors: '10.0.0.1', options: ['queue_depth=64', 'noudev', 'mount_timeout=9'] },
    '10.0.0.1 name=kube,key=K,mount_timeout=30,ro,queue_depth=64,mount_timeout=9,_pool_ns=team ssd csi-vol-1 -',
  ],
  [
    'the second messenger, asked for',
    { options: ['ms_mode=secure'] },
    '10.0.0.1:3300,[fd00::2]:3300 name=kube,key=K,mount_timeout=30,ms_mode=secure ssd csi-vol-1 -',
  ],
  [
    'the second messenger, because there is no other',
    { monitors: '[v2:10.0.0.1:3300]' },
    '10.0.0.1:3300 name=kube,key=K,mount_timeout=30,ms_mode=prefer-crc ssd csi-vol-1 -',
  ],
];

for (const [what, change, line] of said) {
  t.test(`${what} is said to the kernel itself, and never with the key`, (t) => {
    t.equal(addLine({ ...request, ...change }, 'K'), line);
    t.end();
  });
}

const left: readonly [string, Partial<MapRequest>][] = [
  ['a monitor that is called by name', { monitors: '10.0.0.1,mon.example' }],
  ['a port of the second messenger without saying so', { monitors: '10.0.0.1:3300' }],
  [
    'the second messenger where only the first one’s addresses are known',
    { monitors: '10.0.0.1:6789', options: ['ms_mode=crc'] },
  ],
  ['the first messenger where only the second’s are', { monitors: '[v2:10.0.0.1:3300]', options: ['ms_mode=legacy'] }],
  ['an option that the kernel does not know', { options: ['krbd-of-tomorrow'] }],
  ['a setting without its value', { options: ['queue_depth'] }],
  ['a secret among the options', { options: ['secret=AQD'] }],
  ['an option with a blank', { options: ['queue_depth=1 2'] }],
  ['a user that would be several options', { user: 'a,secret=b' }],
  ['a pool with a blank', { id: { ...request.id, pool: 'a b' } }],
  ['more than sysfs takes', { monitors: Array.from({ length: 300 }, () => '10.0.0.1:6789').join(',') }],
];

for (const [what, change] of left) {
  t.test(`${what} is left to the program rbd`, (t) => {
    t.equal(addLine({ ...request, ...change }, 'K'), undefined);
    t.end();
  });
}

t.test('unmapping knows force, and what concerns udev alone', (t) => {
  t.equal(removeLine('7', []), '7');
  t.equal(removeLine('7', ['noudev']), '7');
  t.equal(removeLine('7', ['force', 'udev']), '7 force');
  t.equal(removeLine('7', ['tomorrow']), undefined);
  t.end();
});
