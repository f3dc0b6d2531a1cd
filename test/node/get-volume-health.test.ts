import { join } from 'node:path';
import t from 'tap';
import { testContext } from '../platform/test-context.js';
import { fakeService, id } from './fake-node.js';

const ctx = testContext();
const idText = 'rbd:a:p::i';
const nowhere = { publishPath: undefined, stagingPath: undefined };
const reasonsOf = (health: { readonly troubles: readonly { readonly reason: string }[] }) =>
  health.troubles.map(({ reason }) => reason);

t.test('a volume whose mounts answer is healthy, at the paths that are named and without any', async (t) => {
  const { backend, service } = fakeService();
  const directory = t.testdir({ stage: { device: '' }, target: {} });
  const [stagingPath, publishPath] = [join(directory, 'stage'), join(directory, 'target')];
  backend.mounts = [join(stagingPath, 'device'), publishPath];
  for (const paths of [nowhere, { publishPath, stagingPath }, { publishPath: undefined, stagingPath }]) {
    t.strictSame(await service.getVolumeHealth(ctx, { id, idText, ...paths }), { id, troubles: [] });
  }
});

t.test('a volume that is nowhere, or not where the request says, is NOT_FOUND, as is garbage', async (t) => {
  const { backend, service } = fakeService();
  const missing = { code: 'NOT_FOUND' };
  await t.rejects(service.getVolumeHealth(ctx, { id, idText, ...nowhere }), missing);
  backend.mounts = [t.testdir()];
  const elsewhere = { publishPath: 'some/path', stagingPath: undefined };
  await t.rejects(service.getVolumeHealth(ctx, { id, idText, ...elsewhere }), {
    ...missing,
    message: /"rbd:a:p::i" is not on this node at some\/path/,
  });
  await t.rejects(service.getVolumeHealth(ctx, { id: undefined, idText: 'fake', ...nowhere }), missing);
});

t.test('a staged volume that is not mounted where it was published is INACCESSIBLE: NotMounted', async (t) => {
  const { backend, service } = fakeService();
  const stagingPath = t.testdir();
  backend.mounts = [stagingPath];
  const paths = { publishPath: join(stagingPath, '../target'), stagingPath };
  t.match(await service.getVolumeHealth(ctx, { id, idText, ...paths }), {
    troubles: [{ status: 'INACCESSIBLE', reason: 'NotMounted', message: /not mounted at volume_publish_path/ }],
  });
});

t.test('a volume that nothing serves any more is INACCESSIBLE, once for all its mounts', async (t) => {
  const { backend, service } = fakeService();
  const directory = t.testdir({ one: {}, two: {} });
  backend.mounts = [join(directory, 'one'), join(directory, 'two')];
  backend.served = false;
  const health = await service.getVolumeHealth(ctx, { id, idText, ...nowhere });
  t.match(health.troubles, [
    { status: 'INACCESSIBLE', reason: 'MountDead', message: /one is corrupted: .*made again/ },
  ]);
  t.equal(health.troubles.length, 1);
});

t.test('a mount whose root is gone is dead, also while its process lives', async (t) => {
  const { backend, service } = fakeService();
  backend.mounts = [join(t.testdir(), 'gone')];
  t.strictSame(reasonsOf(await service.getVolumeHealth(ctx, { id, idText, ...nowhere })), ['MountDead']);
});
