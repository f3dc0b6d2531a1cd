import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { hostCluster, readClusterFile } from '../../src/config/cluster-file.js';
import { makeCephxKey } from '../domain/make-cephx-key.js';

const directory = t.testdir();
let files = 0;

/** Writes a file of its own and returns its path. */
async function file(text: string): Promise<string> {
  const path = join(directory, `file-${++files}`);
  await writeFile(path, text);
  return path;
}

const cephfs = { fsName: 'cephfs', groupPath: '/volumes/csi', kernelMountOptions: '', fuseMountOptions: '' };
const timeouts = { connectMs: 8_000, monMs: 8_000, osdMs: 30_000 };

t.test('a cluster needs an id and a place; the rest has defaults', async (t) => {
  t.strictSame((await readClusterFile(await file('clusters: [{ id: a, monitors: "10.0.0.1" }]'))).clusters, [
    {
      id: 'a',
      monitors: '10.0.0.1',
      user: 'admin',
      rbdNamespace: '',
      cloneDepth: { soft: 4, hard: 8 },
      mapOptions: '',
      unmapOptions: '',
      cephfs,
      timeouts,
      topology: [],
    },
  ]);
});

t.test('the file may list the nodes; without a list there is none', async (t) => {
  const clusters = 'clusters: [{ id: a, monitors: "10.0.0.1" }]';
  t.strictSame((await readClusterFile(await file(`${clusters}\nnodes: [a, b]`))).nodes, ['a', 'b']);
  t.strictSame((await readClusterFile(await file(`${clusters}\nnodes: []`))).nodes, []);
  t.equal((await readClusterFile(await file(clusters))).nodes, undefined);
  await t.rejects(readClusterFile(await file(`${clusters}\nnodes: [a, ""]`)), { message: /nodes\.1: is no node id/ });
});

t.test('every field of the file arrives', async (t) => {
  const key = makeCephxKey(3);
  const text = `clusters:
  - id: a
    monitors: [10.0.0.1, 10.0.0.2]
    cephConf: /etc/ceph/a.conf
    user: kube
    keyFile: ${await file(`${key}\n`)}
    rbd:
      namespace: team
      mapOptions: nbd:try-netlink
      unmapOptions: krbd:force
      cloneDepthSoftLimit: 2
      cloneDepthHardLimit: 3
    cephfs: { fsName: fs2, root: /, group: team, kernelMountOptions: 'ms_mode=crc', fuseMountOptions: 'debug' }
    topology: [{ x.io/zone: a, x.io/region: r }, { x.io/zone: b }]
    timeouts: { connectSeconds: 1, monSeconds: 2, osdSeconds: 3 }
  - { id: b, cephConf: /b.conf, keyring: /b.keyring }
`;
  const [a, b] = (await readClusterFile(await file(text))).clusters;
  if (a === undefined) throw new Error('there is no first cluster');
  const { credentials, ...rest } = a;
  t.strictSame(rest, {
    id: 'a',
    monitors: '10.0.0.1,10.0.0.2',
    cephConf: '/etc/ceph/a.conf',
    user: 'kube',
    rbdNamespace: 'team',
    cloneDepth: { soft: 2, hard: 3 },
    mapOptions: 'nbd:try-netlink',
    unmapOptions: 'krbd:force',
    cephfs: { fsName: 'fs2', groupPath: '/team', kernelMountOptions: 'ms_mode=crc', fuseMountOptions: 'debug' },
    timeouts: { connectMs: 1_000, monMs: 2_000, osdMs: 3_000 },
    topology: [{ 'x.io/zone': 'a', 'x.io/region': 'r' }, { 'x.io/zone': 'b' }],
  });
  t.equal(credentials?.user, 'kube');
  t.equal(credentials?.key.reveal(), key, 'trimmed');
  t.match(b, { id: 'b', cephConf: '/b.conf', keyring: '/b.keyring', credentials: undefined });
  t.notOk(JSON.stringify(a).includes(key));
});

const bad: readonly [string, string, RegExp][] = [
  ['no YAML', 'clusters: [', /is no YAML/],
  ['nothing', '', /the file: /],
  ['a list', '- id: a', /the file: /],
  [
    'a topology value with a blank',
    'clusters: [{ id: a, monitors: x, topology: [{ zone: "a b" }] }]',
    /clusters\.0\.topology\.0\.zone: "a b" is no topology value/,
  ],
  [
    'a topology key with two slashes',
    'clusters: [{ id: a, monitors: x, topology: [{ a/b/c: d }] }]',
    /topology\.0\.a\/b\/c: the key has more than one/,
  ],
  ['an empty place', 'clusters: [{ id: a, monitors: x, topology: [{}] }]', /topology\.0: names no topology key/],
  [
    'topology keys with two prefixes',
    'clusters: [{ id: a, monitors: x, topology: [{ x.io/zone: a }] }, { id: b, monitors: x, topology: [{ y.io/zone: a }] }]',
    /clusters: topology keys "x\.io\/zone" and "y\.io\/zone" begin differently/,
  ],
  [
    'a root that climbs',
    'clusters: [{ id: a, monitors: x, cephfs: { root: /a/../b } }]',
    /cephfs\.root: must be an absolute path/,
  ],
  [
    'a root that is relative',
    'clusters: [{ id: a, monitors: x, cephfs: { root: a } }]',
    /cephfs\.root: must be an absolute path/,
  ],
  [
    'a group with a slash',
    'clusters: [{ id: a, monitors: x, cephfs: { group: a/b } }]',
    /cephfs\.group: is no directory's name/,
  ],
  ['no clusters', 'clusters: []', /clusters: lists no cluster/],
  ['an unknown field at the top', 'clusters: [{ id: a, monitors: x }]\npools: []', /the file: .*pools/],
  ['an unknown field of a cluster', 'clusters: [{ id: a, monitors: x, colour: red }]', /clusters\.0: .*colour/],
  ['an unknown field of rbd', 'clusters: [{ id: a, monitors: x, rbd: { pool: x } }]', /clusters\.0\.rbd: .*pool/],
  ['no id', 'clusters: [{ monitors: x }]', /clusters\.0\.id/],
  ['an id with a slash', 'clusters: [{ id: a/b, monitors: x }]', /clusters\.0\.id: is no cluster id/],
  ['an id of 37 bytes', `clusters: [{ id: ${'a'.repeat(37)}, monitors: x }]`, /clusters\.0\.id: .*36 bytes/],
  ['no place', 'clusters: [{ id: a }]', /clusters\.0: needs `monitors` or `cephConf`/],
  ['empty monitors', 'clusters: [{ id: a, monitors: [] }]', /clusters\.0\.monitors/],
  ['a relative ceph.conf', 'clusters: [{ id: a, cephConf: ceph.conf }]', /clusters\.0\.cephConf: must be an absolute/],
  ['a user with client.', 'clusters: [{ id: a, monitors: x, user: client.a }]', /clusters\.0\.user: .*without/],
  ['a keyFile and a keyring', 'clusters: [{ id: a, monitors: x, keyFile: /k, keyring: /r }]', /clusters\.0: has both/],
  ['a timeout of 0', 'clusters: [{ id: a, monitors: x, timeouts: { monSeconds: 0 } }]', /timeouts\.monSeconds/],
  ['half a second', 'clusters: [{ id: a, monitors: x, timeouts: { osdSeconds: 0.5 } }]', /timeouts\.osdSeconds/],
  ['a timeout in words', 'clusters: [{ id: a, monitors: x, timeouts: { connectSeconds: 8s } }]', /connectSeconds/],
  ['an empty namespace', 'clusters: [{ id: a, monitors: x, rbd: { namespace: "" } }]', /rbd\.namespace: is no RADOS/],
  ['a depth of 17', 'clusters: [{ id: a, monitors: x, rbd: { cloneDepthHardLimit: 17 } }]', /kernel client takes/],
  [
    'a soft limit above the hard one',
    'clusters: [{ id: a, monitors: x, rbd: { cloneDepthHardLimit: 3 } }]',
    /is above/,
  ],
  ['two equal ids', 'clusters: [{ id: a, monitors: x }, { id: a, monitors: y }]', /cluster id "a" occurs twice/],
];

for (const [what, text, message] of bad) {
  t.test(`a file with ${what} is refused, naming file and field`, async (t) => {
    const path = await file(text);
    await t.rejects(readClusterFile(path), { code: 'INVALID_ARGUMENT', message });
    await t.rejects(readClusterFile(path), { message: new RegExp(`^configuration ${path}: `) });
  });
}

t.test('all that is wrong is said at once', async (t) => {
  const path = await file('clusters: [{ id: "", monitors: x }, { id: b }]');
  await t.rejects(readClusterFile(path), { message: /clusters\.0\.id: .*; clusters\.1: needs/ });
});

t.test('a file that is not there is named', async (t) => {
  await t.rejects(readClusterFile('/no/such/file'), {
    code: 'INVALID_ARGUMENT',
    message: /^configuration \/no\/such\/file: can't be read .*ENOENT/,
  });
});

const keys: readonly [string, string, RegExp][] = [
  ['is empty', '\n', /keyFile of cluster "a" is empty/],
  ['is a keyring', `[client.a]\nkey = ${makeCephxKey()}\n`, /keyFile of cluster "a" holds blanks/],
  ['is encoded twice', Buffer.from(makeCephxKey()).toString('base64'), /keyFile of cluster "a" .*twice/],
];

for (const [what, text, message] of keys) {
  t.test(`a key file that ${what} is refused, naming the cluster, without the key`, async (t) => {
    const path = await file(`clusters: [{ id: a, monitors: x, keyFile: ${await file(text)} }]`);
    await t.rejects(readClusterFile(path), { code: 'INVALID_ARGUMENT', message });
    const error = await readClusterFile(path).catch((caught: unknown) => caught as Error);
    t.notOk((error as Error).message.includes(makeCephxKey()));
    t.notOk((error as Error).message.includes(text.trim() || 'nothing to look for'));
  });
}

t.test('a key file that is not there is named', async (t) => {
  const path = await file('clusters: [{ id: a, monitors: x, keyFile: /no/such/key }]');
  await t.rejects(readClusterFile(path), { message: /keyFile of cluster "a" can't be read .*\/no\/such\/key/ });
});

t.test("without a file the cluster is the host's", (t) => {
  t.match(hostCluster({}), { id: 'default', cephConf: '/etc/ceph/ceph.conf', user: 'admin', timeouts });
  t.equal(hostCluster({ CEPH_CONF: '/a.conf' }).cephConf, '/a.conf');
  t.end();
});
