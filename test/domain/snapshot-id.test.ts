import t from 'tap';
import { formatSnapshotId, parseSnapshotId, type SnapshotId } from '../../src/domain/snapshot-id.js';

const image = { backend: 'rbd', clusterId: 'default', pool: 'rbd', namespace: '', image: 'csi-vol-1' } as const;
const directory = { backend: 'cephfs', clusterId: 'default', fsName: 'cephfs', path: '/volumes/csi/a' } as const;

const texts: readonly [SnapshotId, string][] = [
  [{ source: image, name: 'csi-snap-1' }, 'rbd:default:rbd::csi-vol-1@csi-snap-1'],
  [{ source: image, name: 'größe: 1' }, 'rbd:default:rbd::csi-vol-1@gr%C3%B6%C3%9Fe%3A%201'],
  [{ source: directory, name: 'csi-snap-1' }, 'cephfs:default:cephfs:/volumes/csi/a@csi-snap-1'],
  [{ source: directory, name: 'a@b' }, 'cephfs:default:cephfs:/volumes/csi/a@a%40b'],
];

for (const [id, text] of texts) {
  t.test(`an id is written as ${text} and read back the same`, (t) => {
    t.equal(formatSnapshotId(id), text);
    t.strictSame(parseSnapshotId(text), id);
    t.end();
  });
}

for (const text of [
  '',
  '@',
  'fake-snapshot-id',
  'rbd:default:rbd::a',
  'rbd:default:rbd::a@',
  'rbd:default:rbd::a@..',
  'rbd:default:rbd::a@b%2Fc',
  'rbd:default:rbd::a@b@c',
  'rbd:default:rbd::a@%61',
  'nfs:default:rbd::a@b',
  'cephfs:default:cephfs:/a/../b@c',
  'cephfs:default:cephfs:/a:view@c',
  `rbd:default:rbd::a@${'b'.repeat(120)}`,
]) {
  t.test(`${text === '' ? 'nothing' : text} is no snapshot's id`, (t) => {
    t.equal(parseSnapshotId(text), undefined);
    t.end();
  });
}

t.test('an id that CSI could not carry is refused, and its volume named', (t) => {
  t.throws(() => formatSnapshotId({ source: { ...image, image: 'a'.repeat(90) }, name: 'b'.repeat(30) }), {
    code: 'INVALID_ARGUMENT',
    message: /CSI allows 128: the id of its volume, rbd:default:rbd::a+, is too long/,
  });
  t.end();
});
