import t from 'tap';
import { whilePlacing } from '../../../src/backend/rbd/placing.js';
import type { CephPool, OmapChange } from '../../../src/ceph/client.js';
import { DriverError } from '../../../src/domain/errors.js';
import { testContext } from '../../platform/test-context.js';

const ctx = testContext();

/** The pool that has the notes: one omap in memory. */
function homeOf(...pairs: [string, unknown][]) {
  const keys = new Map(pairs.map(([key, value]) => [key, JSON.stringify(value)]));
  const omap = {
    get: async () => Promise.resolve(new Map(keys)),
    update: async (_ctx: unknown, _object: string, { expect, set, remove = [] }: OmapChange) => {
      const holds = [...(expect ?? [])].every(([key, value]) => (keys.get(key) ?? '') === value);
      if (holds) {
        for (const key of remove) keys.delete(key);
        for (const [key, value] of set ?? []) keys.set(key, value);
      }
      return Promise.resolve(holds);
    },
  };
  return { keys, home: { omap } as unknown as CephPool };
}

const note = (pool: string, inMs: number) => ({ pool, untilMs: Date.now() + inMs, by: 'somebody' });
const placing = (home: CephPool, pool: string) => ({ home, image: 'i', pool, callMs: 30_000 });
const nothing = async () => Promise.resolve('made');

t.test('while an image is made its pool is noted, and afterwards nothing is', async (t) => {
  const { home, keys } = homeOf();
  const made = await whilePlacing(ctx, placing(home, 'a'), async () => {
    const { pool, untilMs } = JSON.parse(keys.get('i') ?? '') as { pool: string; untilMs: number };
    t.equal(pool, 'a');
    t.ok(untilMs - Date.now() > 45_000 + 30_000, 'longer than the work and its last call may take');
    return Promise.resolve('made');
  });
  t.equal(made, 'made');
  t.equal(keys.size, 0);
});

t.test('another pool is not decided on before the note has run out, the same one at once', async (t) => {
  const { home, keys } = homeOf(['i', note('a', 20_000)]);
  const other = { code: 'ABORTED', message: /pool "a", where an earlier request.* in 20 s at the latest/ };
  await t.rejects(whilePlacing(ctx, placing(home, 'b'), nothing), other);
  t.match(keys.get('i'), /somebody/, 'and nothing is changed');
  t.equal(await whilePlacing(ctx, placing(home, 'a'), nothing), 'made');
  const late = homeOf(['i', note('a', -1)]);
  t.equal(await whilePlacing(ctx, placing(late.home, 'b'), nothing), 'made');
});

t.test(
  'after a refusal another pool may be tried at once, after an error that leaves it open only later',
  async (t) => {
    for (const [code, left] of [
      ['RESOURCE_EXHAUSTED', 0],
      ['ALREADY_EXISTS', 0],
      ['UNAVAILABLE', 1],
      ['DEADLINE_EXCEEDED', 1],
    ] as const) {
      const { home, keys } = homeOf();
      const failing = whilePlacing(ctx, placing(home, 'a'), async () => Promise.reject(new DriverError(code, 'no')));
      await t.rejects(failing, { code });
      t.equal(keys.size, left, code);
    }
  },
);

t.test('whoever ends first takes away only the note that is its own', async (t) => {
  const { home, keys } = homeOf();
  await whilePlacing(ctx, placing(home, 'a'), async () => {
    await t.rejects(whilePlacing(ctx, placing(home, 'a'), async () => Promise.reject(new DriverError('ABORTED', ''))));
    return 'made';
  });
  t.equal(keys.size, 1, 'of the one that came later nobody knows');
});

t.test('a note that is none of ours is an error that says how to remove it', async (t) => {
  const { home } = homeOf(['i', 'something else']);
  const refused = { code: 'INTERNAL', message: /rados rmomapkey cuttle\.placing i/ };
  await t.rejects(whilePlacing(ctx, placing(home, 'a'), nothing), refused);
});
