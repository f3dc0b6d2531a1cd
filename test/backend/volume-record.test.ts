import t from 'tap';
import { recordPlace } from '../../src/backend/rbd/metadata-keys.js';
import { firstDifference, parseRecord, recordOf } from '../../src/backend/volume-record.js';

const place = recordPlace('csi-vol-1');

t.test('a record keeps name and parameters, and of what the provisioner adds who it is for', (t) => {
  const record = recordOf('pvc-1', {
    pool: 'ssd',
    'csi.storage.k8s.io/pvc/namespace': 'team',
    'csi.storage.k8s.io/pvc/name': 'data',
    'csi.storage.k8s.io/pv/name': 'pvc-1',
    'csi.storage.k8s.io/fstype': 'xfs',
    clusterID: 'a',
  });
  t.strictSame(record, {
    version: 1,
    name: 'pvc-1',
    parameters: { clusterID: 'a', pool: 'ssd' },
    labels: { 'pv/name': 'pvc-1', 'pvc/name': 'data', 'pvc/namespace': 'team' },
  });
  t.end();
});

t.test('equal requests make equal text, in whatever order their parameters come', (t) => {
  t.equal(JSON.stringify(recordOf('a', { x: '1', y: '2' })), JSON.stringify(recordOf('a', { y: '2', x: '1' })));
  t.end();
});

t.test('a record is read back as it was written, whatever its text', (t) => {
  const record = recordOf('🐙 "quoted" \\ name', { mkfsOptions: '-E "a=b"' });
  t.strictSame(parseRecord(JSON.stringify(record), place), record);
  t.end();
});

for (const text of [
  '',
  '{',
  'null',
  '1',
  '[]',
  '{}',
  '{"name":"a"}',
  '{"name":"a","parameters":null}',
  '{"name":1,"parameters":{}}',
  '"text"',
]) {
  t.test(`the metadata ${text === '' ? 'without text' : text} is no record, and the image is named`, (t) => {
    t.throws(() => parseRecord(text, place), {
      code: 'INTERNAL',
      message: /^the metadata \.cuttle\.volume of image csi-vol-1 is not what Cuttle wrote/,
    });
    t.end();
  });
}

const of = (parameters: Record<string, string>, source?: string) =>
  recordOf('a', parameters, source === undefined ? {} : { source });

t.test('the first parameter that differs is told with both values', (t) => {
  t.equal(firstDifference(of({ a: '1' }), of({ a: '1' })), undefined);
  t.equal(firstDifference(of({ a: '1', b: '2' }), of({ a: '1', b: '3' })), 'parameter b was "2" and now is "3"');
  t.equal(firstDifference(of({ a: '1' }), of({})), 'parameter a was "1" and now is not set');
  t.equal(firstDifference(of({}), of({ z: '', a: '' })), 'parameter a was not set and now is ""');
  t.equal(firstDifference(of({}, 's'), of({}, 's')), undefined);
  const mutable = (mutableParameters: Record<string, string>) => recordOf('a', {}, { mutableParameters });
  t.equal(firstDifference(mutable({}), of({})), undefined, 'none at all is the same as none');
  t.equal(firstDifference(mutable({ x: '1' }), mutable({ x: '1' })), undefined);
  t.equal(firstDifference(mutable({ x: '1' }), mutable({})), 'mutable parameter x was "1" and now is not set');
  t.equal(firstDifference(of({}, 's'), of({})), 'volume_content_source was "s" and now is not set');
  t.end();
});
