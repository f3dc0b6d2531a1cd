import t from 'tap';
import { csi } from '../../src/csi/gen/csi.js';
import { accessModes, isMultiNode, isReaderOnly, isSingleTarget } from '../../src/domain/capability.js';

t.test('the access modes are those of the contract, except UNKNOWN', (t) => {
  const { Mode } = csi.v1.VolumeCapability.AccessMode;
  const named = Object.keys(Mode).filter((name) => !/^[0-9]+$/.test(name) && name !== 'UNKNOWN');
  t.strictSame([...accessModes].sort(), named.sort());
  t.end();
});

const traits: Readonly<Record<(typeof accessModes)[number], string>> = {
  SINGLE_NODE_WRITER: 'one target',
  SINGLE_NODE_READER_ONLY: 'reader',
  MULTI_NODE_READER_ONLY: 'reader, many nodes',
  MULTI_NODE_SINGLE_WRITER: 'many nodes',
  MULTI_NODE_MULTI_WRITER: 'many nodes',
  SINGLE_NODE_SINGLE_WRITER: 'one target',
  SINGLE_NODE_MULTI_WRITER: '',
};

for (const mode of accessModes) {
  t.test(`${mode} means: ${traits[mode] === '' ? 'one node, many targets, writers' : traits[mode]}`, (t) => {
    const words = [
      ...(isReaderOnly(mode) ? ['reader'] : []),
      ...(isMultiNode(mode) ? ['many nodes'] : []),
      ...(isSingleTarget(mode) ? ['one target'] : []),
    ];
    t.equal(words.join(', '), traits[mode]);
    t.end();
  });
}
