import t from 'tap';
import {
  attachedNodes,
  type AttachedUse,
  fencedAddresses,
  noAttachments,
  parseAttachments,
  refuseAttached,
  shortKey,
  stageObjection,
  withFenced,
  withNode,
  withoutNode,
} from '../../src/backend/attachment-record.js';
import type { AccessMode } from '../../src/domain/capability.js';
import type { VolumeId } from '../../src/domain/volume-id.js';

const id: VolumeId = { backend: 'cephfs', clusterId: 'a', fsName: 'f', path: '/v' };
const place = { what: 'the attribute x of /v', removal: 'setfattr -x x' };
const use = (mode: AccessMode, readOnly = false, mountFlags: string[] = []): AttachedUse => ({
  capability: { mode, access: { type: 'mount', fsType: '', mountFlags } },
  readOnly,
});
const attached = (mode: AccessMode, ...nodes: string[]) =>
  nodes.reduce((record, node) => withNode(record, id, node, use(mode)), noAttachments);

t.test('nodes that use a volume in the same way share one entry, and go one by one', (t) => {
  const record = attached('MULTI_NODE_MULTI_WRITER', 'b', 'a', 'c');
  t.equal(record.uses.length, 1);
  t.strictSame(attachedNodes(record), ['a', 'b', 'c']);
  t.equal(withNode(record, id, 'b', use('MULTI_NODE_MULTI_WRITER')), record, 'a repeated request changes nothing');
  t.strictSame(attachedNodes(withoutNode(record, 'b')), ['a', 'c']);
  t.equal(withoutNode(record, 'x'), record);
  t.strictSame(['a', 'b', 'c'].reduce(withoutNode, record), noAttachments);
  t.end();
});

const single: readonly AccessMode[] = [
  'SINGLE_NODE_WRITER',
  'SINGLE_NODE_READER_ONLY',
  'SINGLE_NODE_SINGLE_WRITER',
  'SINGLE_NODE_MULTI_WRITER',
];
for (const mode of single) {
  t.test(`${mode} is alone, whichever of the two comes second`, (t) => {
    for (const [first, second] of [
      [mode, mode],
      [mode, 'MULTI_NODE_MULTI_WRITER'],
      ['MULTI_NODE_READER_ONLY', mode],
    ] as const) {
      t.throws(() => withNode(attached(first, 'a'), id, 'b', use(second)), {
        code: 'FAILED_PRECONDITION',
        message: /attached to node "a" and can't be attached to node "b".*out-of-service/,
      });
    }
    t.end();
  });
}

t.test('MULTI_NODE_SINGLE_WRITER has one writer, and readers beside it', (t) => {
  const mode = 'MULTI_NODE_SINGLE_WRITER';
  const writer = attached(mode, 'a');
  t.throws(() => withNode(writer, id, 'b', use(mode)), { message: /allows one node to write/ });
  t.throws(() => withNode(writer, id, 'b', use('MULTI_NODE_MULTI_WRITER')), { code: 'FAILED_PRECONDITION' });
  const both = withNode(writer, id, 'b', use(mode, true));
  t.strictSame(attachedNodes(withNode(both, id, 'c', use('MULTI_NODE_READER_ONLY'))), ['a', 'b', 'c']);
  t.end();
});

t.test('the same node in another way is ALREADY_EXISTS; the order of mount flags is none', (t) => {
  const record = withNode(noAttachments, id, 'a', use('SINGLE_NODE_WRITER', false, ['noatime', 'nodev']));
  t.equal(withNode(record, id, 'a', use('SINGLE_NODE_WRITER', false, ['nodev', 'noatime'])), record);
  const others = [
    use('SINGLE_NODE_WRITER'),
    use('SINGLE_NODE_WRITER', true, ['noatime', 'nodev']),
    use('SINGLE_NODE_READER_ONLY', false, ['noatime', 'nodev']),
    { capability: { mode: 'SINGLE_NODE_WRITER', access: { type: 'block' } }, readOnly: false } as const,
  ];
  for (const other of others) t.throws(() => withNode(record, id, 'a', other), { code: 'ALREADY_EXISTS' });
  t.end();
});

t.test('node ids that are names of an object in JavaScript are names of nodes', (t) => {
  let record = attached('MULTI_NODE_MULTI_WRITER', '__proto__', 'constructor');
  record = withFenced(record, '__proto__', ['1']);
  const read = parseAttachments(JSON.stringify(record), place);
  t.strictSame(attachedNodes(read), ['__proto__', 'constructor']);
  t.strictSame(fencedAddresses(read, '__proto__'), ['1']);
  t.strictSame(fencedAddresses(read, 'toString'), []);
  t.end();
});

t.test('what is not there is no attachment; what somebody else has written is said to be that', (t) => {
  t.strictSame(parseAttachments(undefined, place), noAttachments);
  t.strictSame(parseAttachments('', place), noAttachments);
  for (const text of ['no', '{}', 'null', '{"uses":1,"fenced":[]}']) {
    t.throws(() => parseAttachments(text, place), { code: 'INTERNAL', message: /attribute x of \/v.*setfattr -x x/ });
  }
  t.end();
});

t.test(
  'a node may stage what nobody has attached, or it itself; not what others have, nor what it was taken from',
  (t) => {
    t.equal(stageObjection(noAttachments, id, 'a', false), undefined);
    t.match(stageObjection(noAttachments, id, 'a', true), /not attached to this node \("a"\) any more/);
    const others = attached('MULTI_NODE_MULTI_WRITER', 'b', 'c');
    t.equal(stageObjection(others, id, 'b', true), undefined);
    t.match(stageObjection(others, id, 'a', false), /attached to node "b", "c" and not to this node \("a"\)/);
    t.equal(stageObjection(others, id, 'b', false), undefined);
    const taken = withFenced(noAttachments, 'a', ['10.0.0.1:0/1']);
    t.match(stageObjection(taken, id, 'a', false), /was taken from this node \("a"\) by force/);
    t.equal(stageObjection(taken, id, 'b', false), undefined);
    t.equal(
      stageObjection(withNode(taken, id, 'a', use('SINGLE_NODE_WRITER')), id, 'a', false),
      undefined,
      'it has it again',
    );
    t.end();
  },
);

t.test('an attached volume is not deleted; of many nodes five are named', (t) => {
  refuseAttached(id, withFenced(noAttachments, 'a', ['1']));
  const nodes = Array.from({ length: 7 }, (_, i) => `n${i}`);
  t.throws(
    () => {
      refuseAttached(id, attached('MULTI_NODE_MULTI_WRITER', ...nodes));
    },
    { code: 'FAILED_PRECONDITION', message: /"n0", "n1", "n2", "n3", "n4" and 2 more and can't be deleted/ },
  );
  t.end();
});

t.test('a thousand nodes have room in an extended attribute', (t) => {
  const nodes = Array.from({ length: 1_000 }, (_, i) => `ip-10-0-${i >> 8}-${i & 255}.eu-west-1.compute`);
  t.ok(JSON.stringify(attached('MULTI_NODE_MULTI_WRITER', ...nodes)).length < 40_000);
  t.match(shortKey('x'.repeat(256)), /^[\w-]{22}$/);
  t.end();
});
