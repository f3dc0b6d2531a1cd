import t from 'tap';
import type { Encryption } from '../../../src/backend/rbd/encryption.js';
import type { MapRequest } from '../../../src/backend/rbd/mapper.js';
import { cephConf, daemonArguments, daemonSecrets } from '../../../src/backend/rbd/userspace-daemon.js';
import { Secret } from '../../../src/platform/secret.js';

const key = new Secret('marker-key');
const passphrase = new Secret('marker-passphrase');
const encryption = { passphrase } as Encryption;
const request: MapRequest = {
  id: { backend: 'rbd', clusterId: 'a', pool: 'p', namespace: '', image: 'i' },
  readOnly: false,
  monitors: '10.0.0.1',
  user: 'kube',
  key,
  keyring: undefined,
  features: 1n,
  options: [],
};

const blockdevOf = (args: readonly string[]) => JSON.parse(args[args.indexOf('--blockdev') + 1] ?? '') as object;

const cases: readonly [string, Partial<MapRequest>, RegExp[], Secret[]][] = [
  ['a key', {}, [/id=key,file=\/dev\/fd\/3/], [key]],
  [
    'a key and a passphrase',
    { encryption },
    [/id=key,file=\/dev\/fd\/3/, /id=passphrase,file=\/dev\/fd\/4/],
    [key, passphrase],
  ],
  ['a passphrase alone', { key: undefined, encryption }, [/id=passphrase,file=\/dev\/fd\/3/], [passphrase]],
  ['nothing secret', { key: undefined, keyring: '/k' }, [], []],
];
for (const [what, more, objects, secrets] of cases) {
  t.test(`with ${what}, each secret is read from the descriptor that it is given on, and seen nowhere`, (t) => {
    const whole = { ...request, ...more };
    const args = daemonArguments(whole, '/run/image', '/run/ceph.conf');
    t.equal(args.filter((arg) => arg === '--object').length, objects.length);
    for (const object of objects)
      t.ok(
        args.some((arg) => object.test(arg)),
        String(object),
      );
    t.same(daemonSecrets(whole), secrets);
    t.notMatch(`${args.join(' ')} ${cephConf(whole)}`, /marker/);
    t.end();
  });
}

t.test('librbd is told to open the LUKS header of an encrypted volume, and of no other', (t) => {
  t.match(blockdevOf(daemonArguments({ ...request, encryption }, '/f', '/c')), {
    driver: 'rbd',
    encrypt: { format: 'luks2', 'key-secret': 'passphrase' },
  });
  t.notOk('encrypt' in blockdevOf(daemonArguments(request, '/f', '/c')));
  t.end();
});
