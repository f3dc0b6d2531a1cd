import t from 'tap';
import { chooseMapper, kindsOf } from '../../../src/backend/rbd/choose-mapper.js';
import { type Mapper, type MapperKind, optionsFor } from '../../../src/backend/rbd/mapper.js';
import { testContext } from '../../platform/test-context.js';

const unused = () => {
  throw new Error('not called when choosing');
};

/** A mapper that objects to some feature bits, or to everything. */
function fake(kind: MapperKind, refusedBits: bigint | 'all'): Mapper {
  return {
    kind,
    objection: async (features) =>
      Promise.resolve(
        refusedBits === 'all' || (features & refusedBits) !== 0n ? `${kind} does not fit this node` : undefined,
      ),
    find: unused,
    isImage: unused,
    map: unused,
    refreshSize: () => {
      throw new Error('not called');
    },
    unmap: unused,
  };
}

t.test('auto takes the first that fits, and then says nothing', async (t) => {
  const ctx = testContext();
  const mapper = await chooseMapper(ctx, [fake('krbd', 0n), fake('nbd', 0n)], 'auto', 61n);
  t.equal(mapper.kind, 'krbd');
  t.strictSame(ctx.lines, []);
});

t.test('auto moves on by the features of the image, and logs why each was passed over', async (t) => {
  const ctx = testContext();
  const mappers = [fake('krbd', 8n), fake('nbd', 'all'), fake('userspace', 0n)];
  t.equal((await chooseMapper(ctx, mappers, 'auto', 61n)).kind, 'userspace');
  t.match(ctx.lines, [
    {
      level: 30,
      mapper: 'userspace',
      passedOver: ['krbd: krbd does not fit this node', 'nbd: nbd does not fit this node'],
    },
  ]);
  t.equal((await chooseMapper(ctx, mappers, 'auto', 5n)).kind, 'krbd');
});

t.test('when none fits, the error has every objection', async (t) => {
  const mappers = [fake('krbd', 'all'), fake('nbd', 'all')];
  await t.rejects(chooseMapper(testContext(), mappers, 'auto', 1n), {
    code: 'FAILED_PRECONDITION',
    message:
      'this node can\'t map the image with mounter "auto": krbd: krbd does not fit this node; nbd: nbd does not fit this node',
  });
});

for (const [mounter, kind] of [
  ['krbd', 'krbd'],
  ['rbd', 'krbd'],
  ['nbd', 'nbd'],
  ['rbd-nbd', 'nbd'],
  ['userspace', 'userspace'],
] as const) {
  t.test(`the mounter ${mounter} is ${kind}, used or an error, never another`, async (t) => {
    const all: MapperKind[] = ['krbd', 'nbd', 'userspace'];
    const chosen = await chooseMapper(
      testContext(),
      all.map((one) => fake(one, 0n)),
      mounter,
      1n,
    );
    t.equal(chosen.kind, kind);
    const onlyThatOneFails = all.map((one) => fake(one, one === kind ? 'all' : 0n));
    await t.rejects(chooseMapper(testContext(), onlyThatOneFails, mounter, 1n), {
      code: 'FAILED_PRECONDITION',
      message: new RegExp(`with mounter "${mounter}": ${kind}: .*; or set mounter to "auto"$`),
    });
  });
}

t.test('what there is to map is told to each mapper, and its objection is the reason that is logged', async (t) => {
  const ctx = testContext();
  const heard: unknown[] = [];
  const listening = (kind: MapperKind): Mapper => ({
    ...fake(kind, 0n),
    objection: async (_features, content) => {
      heard.push(content);
      return Promise.resolve(kind === 'krbd' ? 'no dm-crypt here' : undefined);
    },
  });
  const mappers = [listening('krbd'), listening('userspace')];
  t.equal((await chooseMapper(ctx, mappers, 'auto', 1n, 'encrypted')).kind, 'userspace');
  t.match(ctx.lines, [{ passedOver: ['krbd: no dm-crypt here'] }]);
  await chooseMapper(ctx, mappers, 'userspace', 1n);
  t.strictSame(heard, ['encrypted', 'encrypted', 'plain']);
});

t.test('the mappers that a mounter may come to', (t) => {
  t.strictSame(kindsOf('auto'), ['krbd', 'nbd', 'userspace']);
  t.strictSame(kindsOf('rbd'), ['krbd']);
  t.strictSame(kindsOf('rbd-nbd'), ['nbd']);
  t.strictSame(kindsOf('userspace'), ['userspace']);
  t.end();
});

const options: readonly [string | undefined, Record<MapperKind, string[]>][] = [
  [undefined, { krbd: [], nbd: [], userspace: [] }],
  ['', { krbd: [], nbd: [], userspace: [] }],
  ['noshare,queue_depth=64', { krbd: ['noshare', 'queue_depth=64'], nbd: [], userspace: [] }],
  ['krbd:a,b;nbd:c', { krbd: ['a', 'b'], nbd: ['c'], userspace: [] }],
  ['nbd:c;d', { krbd: ['d'], nbd: ['c'], userspace: [] }],
  ['userspace:x', { krbd: [], nbd: [], userspace: ['x'] }],
  ['krbd:crush_location=host:a|rack:b', { krbd: ['crush_location=host:a|rack:b'], nbd: [], userspace: [] }],
  ['crush_location=host:a', { krbd: ['crush_location=host:a'], nbd: [], userspace: [] }],
  [';nbd:,c,;', { krbd: [], nbd: ['c'], userspace: [] }],
];

for (const [text, expected] of options) {
  t.test(
    `the options ${text === undefined ? 'of nobody' : `"${text}"`} go to the mappers that they are meant for`,
    (t) => {
      for (const [kind, list] of Object.entries(expected) as [MapperKind, string[]][])
        t.strictSame(optionsFor(kind, text), list, kind);
      t.end();
    },
  );
}
