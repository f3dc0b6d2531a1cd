import t from 'tap';
import { defaultVolumeNamePrefix, looksDerived, objectNameFor } from '../../src/backend/object-name.js';

/** These are on people's clusters: a change here would make every repeated CreateVolume a second volume. */
const known: readonly [string, string][] = [
  ['pvc-6d6b0d5e-2c52-4b5c-9d0e-7f3f2a6d5c11', 'csi-vol-b3fbdfdc-b22e-569f-ae0b-dc6bf3b9e621'],
  ['a', 'csi-vol-6f21ab22-65d9-58a2-ae65-7f3d2601992c'],
  ['🐙 Übung', 'csi-vol-452eda27-dd66-588a-af1b-43847febd9b0'],
];

for (const [name, objectName] of known) {
  t.test(`the name ${name} has always been the object ${objectName}`, (t) => {
    t.equal(objectNameFor(name, 'csi-vol-'), objectName);
    t.end();
  });
}

t.test('names that differ in anything are different objects; the prefix stands before the same UUID', (t) => {
  const names = ['a', 'A', 'a ', 'á', 'a\u0301', ''];
  t.equal(new Set(names.map((name) => objectNameFor(name, ''))).size, names.length);
  t.equal(objectNameFor('a', 'x-'), `x-${objectNameFor('a', '')}`);
  t.equal(defaultVolumeNamePrefix, 'csi-vol-');
  t.end();
});

t.test('a derived name is recognised behind any prefix, and other names are not', (t) => {
  for (const prefix of ['csi-vol-', '', 'team a/']) t.ok(looksDerived(objectNameFor('x', prefix)), prefix);
  for (const name of [
    'my-image',
    '6d6b0d5e-2c52-4b5c-9d0e-7f3f2a6d5c11', // version 4
    `${objectNameFor('x', '')}-copy`,
    objectNameFor('x', '').toUpperCase(),
    '',
  ])
    t.notOk(looksDerived(name), name);
  t.end();
});
