import t from 'tap';
import type { CreateVolumeInput } from '../../src/backend/backend.js';
import { type ControllerDependencies, controllerService } from '../../src/controller/controller-service.js';
import type { TopologyRequirement } from '../../src/domain/topology.js';
import { KeyedLock } from '../../src/platform/keyed-lock.js';
import { testContext } from '../platform/test-context.js';
import { FakeController, idOf } from './fake-backend.js';

const ctx = testContext();
const reach = [{ zone: 'a' }, { zone: 'b' }];
const from = (...zones: string[]): TopologyRequirement => ({
  requisite: zones.map((zone) => ({ zone })),
  preferred: [],
});

const request = (name: string, requirement?: TopologyRequirement): CreateVolumeInput => ({
  name,
  capacity: undefined,
  capabilities: [],
  parameters: {},
  mutableParameters: {},
  credentials: undefined,
  source: undefined,
  requirement,
});

function serviceOf(backend: FakeController, clusterReach: ControllerDependencies['clusterReach'] = () => reach) {
  const nodes = { has: async () => Promise.resolve(true) };
  return controllerService({
    backends: new Map([[backend.kind, backend]]),
    lock: new KeyedLock(),
    nodes,
    clusterReach,
  });
}

t.test('every answer about a volume or snapshot says from where its cluster is reached', async (t) => {
  const service = serviceOf(new FakeController());
  t.strictSame((await service.createVolume(ctx, request('v', from('b', 'c')))).reach, reach);
  t.strictSame((await service.getVolume(ctx, { id: idOf('v'), idText: '' })).reach, reach);
  const all = { maxEntries: 0, startingToken: '' };
  t.strictSame((await service.listVolumes(ctx, all)).volumes[0]?.reach, reach);
  const snapshot = await service.createSnapshot(ctx, { name: 's', source: idOf('v'), credentials: undefined });
  t.strictSame(snapshot.reach, reach);
  const snapshotInput = { id: snapshot.id, idText: '', credentials: undefined };
  t.strictSame((await service.getSnapshot(ctx, snapshotInput)).reach, reach);
  for (const narrowed of [{ source: { id: idOf('v') } }, { snapshot: snapshotInput }, {}]) {
    const input = { ...all, source: undefined, snapshot: undefined, credentials: undefined, ...narrowed };
    t.strictSame((await service.listSnapshots(ctx, input)).snapshots[0]?.reach, reach);
  }
});

t.test("a volume's own place counts before its cluster's", async (t) => {
  const backend = new FakeController().add('v');
  const own = [{ zone: 'z' }];
  for (const [key, volume] of backend.volumes) backend.volumes.set(key, { ...volume, reach: own });
  const service = serviceOf(backend);
  t.strictSame((await service.getVolume(ctx, { id: idOf('v'), idText: '' })).reach, own);
  const snapshot = { name: 's', source: idOf('v'), credentials: undefined };
  await t.rejects(service.createSnapshot(ctx, { ...snapshot, requirement: from('a') }), {
    code: 'RESOURCE_EXHAUSTED',
    message: /snapshot "s" can be reached from \{zone=z\}, and accessibility_requirements asks for \{zone=a\}/,
  });
  await service.createSnapshot(ctx, { ...snapshot, requirement: from('z') });
  await t.rejects(service.createSnapshot(ctx, { ...snapshot, requirement: from('a') }), { code: 'ALREADY_EXISTS' });
});

t.test('what a cluster can not meet is not made, and what was made before is told apart', async (t) => {
  const backend = new FakeController();
  const service = serviceOf(backend);
  await t.rejects(service.createVolume(ctx, request('v', from('c'))), {
    code: 'RESOURCE_EXHAUSTED',
    message: /in cluster "a" volume "v" can be reached from \{zone=a\} or \{zone=b\}, and .* asks for \{zone=c\}/,
  });
  t.strictSame(backend.calls, []);
  await service.createVolume(ctx, request('v', from('a')));
  await t.rejects(service.createVolume(ctx, request('v', from('c'))), { code: 'ALREADY_EXISTS' });
  const missing = { name: 's', source: idOf('none'), credentials: undefined, requirement: from('a') };
  await t.rejects(service.createSnapshot(ctx, missing), { code: 'NOT_FOUND' });
});

t.test('a cluster without topology meets every demand', async (t) => {
  const service = serviceOf(new FakeController(), () => []);
  t.strictSame((await service.createVolume(ctx, request('v', from('anywhere')))).reach, []);
});

t.test('a volume that may come to lie in several places is locked in all of them', async (t) => {
  const backend = new FakeController();
  const plan = backend.planVolume.bind(backend);
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  backend.beforeWork = async () => held;
  backend.planVolume = (input) => ({ ...plan(input), elsewhere: [idOf('elsewhere')] });
  const service = serviceOf(backend);
  const first = service.createVolume(ctx, request('v', from('c')));
  const twin = service.createVolume(ctx, request('v', from('c')));
  await t.rejects(service.createVolume(ctx, request('v', from('a'))), { code: 'ABORTED' });
  await t.rejects(service.deleteVolume(ctx, { id: idOf('elsewhere'), credentials: undefined }), { code: 'ABORTED' });
  release();
  t.strictSame(await twin, await first);
  t.strictSame(backend.calls, ['create v'], 'and its backend holds the demand against the places');
});
