import t from 'tap';
import { controllerService } from '../../src/controller/controller-service.js';
import type { BackendKind } from '../../src/domain/backend-kind.js';
import { KeyedLock } from '../../src/platform/keyed-lock.js';
import { testContext } from '../platform/test-context.js';
import { FakeController, imageOf } from './fake-backend.js';

const ctx = testContext();
// Backends not in the order of their names, and their volumes against it: neither may matter.
const rbd = new FakeController('rbd').add('r1', 'r2', 'r3');
const cephfs = new FakeController('cephfs').add('x1', 'x2');
const backends = new Map([rbd, cephfs].map((backend) => [backend.kind, backend] as [BackendKind, FakeController]));
const service = controllerService({
  backends,
  lock: new KeyedLock(),
  nodes: { has: async () => Promise.resolve(true) },
  clusterReach: () => [],
});

const list = async (maxEntries: number, startingToken = '') => {
  const { volumes, next } = await service.listVolumes(ctx, { maxEntries, startingToken });
  return { images: volumes.map(({ id }) => imageOf(id)), next };
};

t.test('without a limit all volumes of all backends are on one page', async (t) => {
  t.strictSame(await list(0), { images: ['x1', 'x2', 'r1', 'r2', 'r3'], next: undefined });
});

for (const size of [1, 2, 3, 4, 5, 6]) {
  t.test(`pages of ${size} over two backends give every volume once, and none is larger`, async (t) => {
    const seen: string[] = [];
    let token: string | undefined = '';
    let pages = 0;
    while (token !== undefined && pages++ < 10) {
      const page: Awaited<ReturnType<typeof list>> = await list(size, token);
      t.ok(page.images.length <= size && page.images.length > 0);
      seen.push(...page.images);
      token = page.next;
    }
    t.strictSame(seen, ['x1', 'x2', 'r1', 'r2', 'r3']);
    t.equal(token, undefined);
  });
}

t.test('a token goes on where its page ended, also without a limit', async (t) => {
  const { next = '' } = await list(3);
  t.strictSame(await list(0, next), { images: ['r2', 'r3'], next: undefined });
});

for (const token of ['nonsense', 'nfs:r1', ':r1', 'rbd', 'rbd:!!']) {
  t.test(`the token "${token}" was not given out here: ABORTED`, async (t) => {
    await t.rejects(list(1, token), { code: 'ABORTED' });
  });
}
