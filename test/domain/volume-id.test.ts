import t from 'tap';
import {
  type CephfsVolumeId,
  formatVolumeId,
  isDirectoryPath,
  isObjectName,
  parseVolumeId,
  type RbdVolumeId,
} from '../../src/domain/volume-id.js';

const plain: RbdVolumeId = { backend: 'rbd', clusterId: 'default', pool: 'rbd', namespace: '', image: 'csi-vol-1' };

const texts: readonly [Partial<RbdVolumeId>, string][] = [
  [{}, 'rbd:default:rbd::csi-vol-1'],
  [{ namespace: 'team-a' }, 'rbd:default:rbd:team-a:csi-vol-1'],
  [{ pool: 'a:b', image: '100%' }, 'rbd:default:a%3Ab::100%25'],
  [{ pool: 'größe', image: '猫' }, 'rbd:default:gr%C3%B6%C3%9Fe::%E7%8C%AB'],
  [{ image: '🐙 with blanks' }, 'rbd:default:rbd::%F0%9F%90%99%20with%20blanks'],
  [{ image: '%2e%2e' }, 'rbd:default:rbd::%252e%252e'],
  [{ image: '...' }, 'rbd:default:rbd::...'],
];

for (const [change, text] of texts) {
  t.test(`an id is written as ${text} and read back the same`, (t) => {
    const id = { ...plain, ...change };
    t.equal(formatVolumeId(id), text);
    t.strictSame(parseVolumeId(text), id);
    t.end();
  });
}

const directory: CephfsVolumeId = { backend: 'cephfs', clusterId: 'default', fsName: 'cephfs', path: '/volumes/csi/a' };

const directoryTexts: readonly [Partial<CephfsVolumeId>, string][] = [
  [{}, 'cephfs:default:cephfs:/volumes/csi/a'],
  [{ path: '/' }, 'cephfs:default:cephfs:/'],
  [{ path: '/k8s_test' }, 'cephfs:default:cephfs:/k8s_test'],
  [{ path: '/with blank/größe/..a' }, 'cephfs:default:cephfs:/with%20blank/gr%C3%B6%C3%9Fe/..a'],
  [{ fsName: 'a:b', path: '/a@b:c%' }, 'cephfs:default:a%3Ab:/a%40b%3Ac%25'],
  [{ isView: true }, 'cephfs:default:cephfs:/volumes/csi/a:view'],
];

for (const [change, text] of directoryTexts) {
  t.test(`a directory's id is written as ${text} and read back the same`, (t) => {
    const id = { ...directory, ...change };
    t.equal(formatVolumeId(id), text);
    t.strictSame(parseVolumeId(text), id);
    t.end();
  });
}

t.test('a directory whose id would be too long is refused with what to shorten', (t) => {
  t.throws(() => formatVolumeId({ ...directory, path: `/${'a'.repeat(120)}` }), {
    code: 'INVALID_ARGUMENT',
    message: /CSI allows 128: shorten clusterID "default", fsName "cephfs", the path/,
  });
  t.end();
});

t.test('a path has one spelling', (t) => {
  for (const path of ['/', '/a', '/a/b', '/ ', '/..a']) t.ok(isDirectoryPath(path), path);
  for (const path of ['', 'a', '//', '/a/', '/a//b', '/.', '/..', '/a/../b', '/a/.', '/a\n', '/a\0'])
    t.notOk(isDirectoryPath(path), JSON.stringify(path));
  t.end();
});

const refused: readonly [string, string][] = [
  ['a directory by a relative path', 'cephfs:default:cephfs:volumes/a'],
  ['a directory without a path', 'cephfs:default:cephfs:'],
  ['a path that climbs', 'cephfs:default:cephfs:/a/../b'],
  ['a path that climbs, encoded', 'cephfs:default:cephfs:/a/%2E%2E/b'],
  ['a path with two slashes', 'cephfs:default:cephfs:/a//b'],
  ['a path with a slash at the end', 'cephfs:default:cephfs:/a/'],
  ['a path with an encoded slash', 'cephfs:default:cephfs:/a%2Fb'],
  ['a directory without a file system', 'cephfs:default::/a'],
  ['a directory without a cluster', 'cephfs::cephfs:/a'],
  ['a directory with the fields of an image', 'cephfs:default:cephfs::/a'],
  ['a directory with another mark', 'cephfs:default:cephfs:/a:copy'],
  ['a directory with two marks', 'cephfs:default:cephfs:/a:view:view'],
  ['a view without a path', 'cephfs:default:cephfs::view'],
  ['nothing', ''],
  ['an id of csi-sanity', 'fake-vol-id'],
  ["ceph-csi's id", '0001-0009-rook-ceph-0000000000000001-89d4e8e4-7b1e-11ee-8f4a-0a580a800202'],
  ['an unknown backend', 'nfs:default:rbd::a'],
  ['a backend in capitals', 'RBD:default:rbd::a'],
  ['four fields', 'rbd:default:rbd:a'],
  ['six fields', 'rbd:default:rbd::a:b'],
  ['no cluster', 'rbd::rbd::a'],
  ['no pool', 'rbd:default:::a'],
  ['no image', 'rbd:default:rbd::'],
  ['a letter that need not be encoded', 'rbd:default:rbd::%61'],
  ['encoded dots', 'rbd:default:rbd::%2E%2E'],
  ['lower-case hex', 'rbd:default:rbd::a%3ab'],
  ['an image called ..', 'rbd:default:rbd::..'],
  ['a pool called ..', 'rbd:default:..::a'],
  ['a namespace called .', 'rbd:default:rbd:.:a'],
  ['a bare slash', 'rbd:default:rbd::a/b'],
  ['an encoded slash', 'rbd:default:rbd::a%2Fb'],
  ['an encoded at sign', 'rbd:default:rbd::a%40b'],
  ['an encoded zero byte', 'rbd:default:rbd::a%00'],
  ['an encoded line feed', 'rbd:default:rbd::a%0A'],
  ['a bare line feed at the end', 'rbd:default:rbd::a\n'],
  ['an unencoded umlaut', 'rbd:default:rbd::ö'],
  ['half an escape', 'rbd:default:rbd::a%2'],
  ['a lone percent sign', 'rbd:default:rbd::a%'],
  ['an overlong UTF-8 slash', 'rbd:default:rbd::%C0%AF'],
  ['an encoded surrogate', 'rbd:default:rbd::%ED%A0%80'],
  ['a byte that is no UTF-8', 'rbd:default:rbd::%FF'],
  ['129 bytes', `rbd:default:rbd::${'a'.repeat(129 - 'rbd:default:rbd::'.length)}`],
];

for (const [what, text] of refused) {
  t.test(`${what} is no id of ours`, (t) => {
    t.equal(parseVolumeId(text), undefined);
    t.end();
  });
}

t.test('an id of 128 bytes is carried, one of 129 is refused with what to shorten', (t) => {
  const image = 'a'.repeat(128 - 'rbd:default:rbd::'.length);
  const longest = formatVolumeId({ ...plain, image });
  t.equal(longest.length, 128);
  t.strictSame(parseVolumeId(longest), { ...plain, image });
  t.throws(() => formatVolumeId({ ...plain, image: `${image}a` }), {
    code: 'INVALID_ARGUMENT',
    message: /129 bytes.*128.*shorten clusterID "default", pool "rbd"/,
  });
  // What counts are the bytes of the encoded text: one cat is nine of them.
  t.throws(() => formatVolumeId({ ...plain, image: '猫'.repeat(13) }), { code: 'INVALID_ARGUMENT' });
  t.end();
});

t.test('garbage never throws, and whatever is accepted is exactly what format writes', (t) => {
  const alphabet = [
    'rbd',
    ':',
    ':',
    ':',
    '%',
    '2',
    'F',
    'e',
    'a',
    '.',
    '..',
    '/',
    '@',
    '\0',
    '\n',
    'ö',
    '🐙',
    '\ud800',
    '%41',
  ];
  let state = 4711;
  const random = (below: number) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
  let accepted = 0;
  for (let i = 0; i < 20_000; i++) {
    const parts = Array.from({ length: random(9) }, () => alphabet[random(alphabet.length)] ?? '');
    const text = i % 2 === 0 ? parts.join('') : `${i % 4 === 1 ? 'rbd:a:b::' : 'cephfs:a:b:/'}${parts.join('')}`;
    const id = parseVolumeId(text);
    if (id === undefined) continue;
    accepted++;
    if (formatVolumeId(id) !== text) t.fail(`${JSON.stringify(text)} is read as an id that is written otherwise`);
  }
  t.ok(accepted > 100, `${accepted} of the random texts were ids`);
  t.end();
});

t.test('an object name has no separators of rbd(8), no control characters, and does not climb', (t) => {
  for (const name of ['a', 'a.b', '..a', 'ä', 'with blank', ':']) t.ok(isObjectName(name), name);
  for (const name of ['', '.', '..', 'a/b', 'a@b', 'a\u0000', 'a\u001f', 'a\u007f', '\n'])
    t.notOk(isObjectName(name), JSON.stringify(name));
  t.end();
});
