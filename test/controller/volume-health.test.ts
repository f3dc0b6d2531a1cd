import t from 'tap';
import { controllerService } from '../../src/controller/controller-service.js';
import type { BackendKind } from '../../src/domain/backend-kind.js';
import type { VolumeTrouble } from '../../src/domain/health.js';
import { KeyedLock } from '../../src/platform/keyed-lock.js';
import { testContext } from '../platform/test-context.js';
import { FakeController, idOf, imageOf } from './fake-backend.js';

const ctx = testContext();
const full: VolumeTrouble = { status: 'DEGRADED', reason: 'PoolFull', message: 'pool "p" is full' };
const unserved: VolumeTrouble = { status: 'INACCESSIBLE', reason: 'NoActiveMds', message: 'no MDS' };

function fakeService() {
  const rbd = new FakeController('rbd').add('r1', 'r2', 'r3');
  const cephfs = new FakeController('cephfs').add('x1', 'x2');
  const backends = new Map([rbd, cephfs].map((backend) => [backend.kind, backend] as [BackendKind, FakeController]));
  const nodes = { has: async () => Promise.resolve(true) };
  return {
    rbd,
    cephfs,
    service: controllerService({ backends, lock: new KeyedLock(), nodes, clusterReach: () => [] }),
  };
}

const input = (image: string) => ({ id: idOf(image), idText: `rbd:a:p::${image}`, credentials: undefined });

t.test('a volume that is there has the troubles of its place; a healthy one has none', async (t) => {
  const { rbd, service } = fakeService();
  rbd.sick.set('r2', [full]);
  t.strictSame(await service.getVolumeHealth(ctx, input('r1')), { id: idOf('r1'), troubles: [] });
  t.strictSame(await service.getVolumeHealth(ctx, input('r2')), { id: idOf('r2'), troubles: [full] });
});

t.test('a volume that is not there is NOT_FOUND, also where its pool is full', async (t) => {
  const { rbd, service } = fakeService();
  rbd.sick.set('r9', [full]);
  await t.rejects(service.getVolumeHealth(ctx, input('r9')), { code: 'NOT_FOUND', message: /rbd:a:p::r9/ });
  const garbage = { id: undefined, idText: 'fake-vol-id', credentials: undefined };
  await t.rejects(service.getVolumeHealth(ctx, garbage), { code: 'NOT_FOUND', message: /fake-vol-id/ });
});

t.test('what the cluster says to be out of reach is not looked for', async (t) => {
  const { rbd, service } = fakeService();
  rbd.sick.set('r1', [unserved]);
  rbd.findVolume = async () => Promise.reject(new Error('waited in vain'));
  t.strictSame(await service.getVolumeHealth(ctx, input('r1')), { id: idOf('r1'), troubles: [unserved] });
});

t.test('a list has the sick volumes alone, on the pages and with the tokens of ListVolumes', async (t) => {
  const { rbd, cephfs, service } = fakeService();
  rbd.sick.set('r3', [full]);
  cephfs.sick.set('x1', [unserved, full]);
  const list = async (maxEntries: number, startingToken = '') => {
    const volumes = await service.listVolumes(ctx, { maxEntries, startingToken });
    const health = await service.listVolumeHealth(ctx, { maxEntries, startingToken });
    t.equal(health.next, volumes.next);
    return { images: health.volumes.map(({ id }) => imageOf(id)), next: health.next };
  };
  t.strictSame(await list(0), { images: ['x1', 'r3'], next: undefined });
  const seen: string[] = [];
  let token: string | undefined = '';
  while (token !== undefined) {
    const page: Awaited<ReturnType<typeof list>> = await list(2, token);
    seen.push(...page.images);
    token = page.next;
  }
  t.strictSame(seen, ['x1', 'r3']);
  t.strictSame((await service.listVolumeHealth(ctx, { maxEntries: 1, startingToken: '' })).volumes[0]?.troubles, [
    unserved,
    full,
  ]);
});

t.test('a page asks each backend once, for the volumes on it', async (t) => {
  const { rbd, cephfs, service } = fakeService();
  await service.listVolumeHealth(ctx, { maxEntries: 4, startingToken: '' });
  t.strictSame([...cephfs.calls, ...rbd.calls], ['troubles of x1, x2', 'troubles of r1, r2']);
});

for (const token of ['nonsense', 'nfs:r1', 'rbd:!!']) {
  t.test(`the token "${token}" was not given out here: ABORTED`, async (t) => {
    const { service } = fakeService();
    await t.rejects(service.listVolumeHealth(ctx, { maxEntries: 1, startingToken: token }), { code: 'ABORTED' });
  });
}
