import t from 'tap';
import { controllerService } from '../../src/controller/controller-service.js';
import { nodeDirectory } from '../../src/controller/node-directory.js';
import type { BackendKind } from '../../src/domain/backend-kind.js';
import type { VolumeCapability } from '../../src/domain/capability.js';
import { KeyedLock } from '../../src/platform/keyed-lock.js';
import { testContext } from '../platform/test-context.js';
import { FakeController, idOf } from './fake-backend.js';

const ctx = testContext();
const ext4: VolumeCapability = {
  mode: 'SINGLE_NODE_WRITER',
  access: { type: 'mount', fsType: 'ext4', mountFlags: [] },
};
const ntfs: VolumeCapability = { ...ext4, access: { type: 'mount', fsType: 'ntfs', mountFlags: [] } };

function site(known: readonly string[] = ['n1', 'n2']) {
  const backend = new FakeController().add('v');
  const backends = new Map([[backend.kind, backend] as [BackendKind, FakeController]]);
  const nodes = nodeDirectory({ own: undefined, listed: () => known, orchestrator: undefined });
  const service = controllerService({ backends, lock: new KeyedLock(), nodes, clusterReach: () => [] });
  const publish = async (node: string, change: { capability?: VolumeCapability; readOnly?: boolean } = {}) =>
    service.publishVolume(ctx, {
      id: idOf('v'),
      idText: 'rbd:a:p::v',
      node,
      capability: ext4,
      readOnly: false,
      credentials: undefined,
      ...change,
    });
  return { backend, service, publish };
}

t.test('an unknown node is NOT_FOUND before the backend is asked; garbage ids get what each RPC owes', async (t) => {
  const { backend, service, publish } = site();
  await t.rejects(publish('n3'), { code: 'NOT_FOUND', message: /node "n3" is not known.*"nodes"/ });
  const garbage = { id: undefined, idText: 'fake', node: 'n1', credentials: undefined };
  await t.rejects(service.publishVolume(ctx, { ...garbage, capability: ext4, readOnly: false }), {
    code: 'NOT_FOUND',
    message: 'volume "fake" does not exist',
  });
  await service.unpublishVolume(ctx, garbage);
  await t.rejects(service.getVolume(ctx, garbage), { code: 'NOT_FOUND' });
  await t.rejects(service.getVolume(ctx, { id: idOf('w'), idText: 'w' }), { code: 'NOT_FOUND' });
  t.strictSame(backend.calls, []);
});

t.test('a capability that the backend objects to is INVALID_ARGUMENT', async (t) => {
  const { backend, publish } = site();
  await t.rejects(publish('n1', { capability: ntfs }), {
    code: 'INVALID_ARGUMENT',
    message: /^volume_capability: .*ntfs/,
  });
  t.strictSame(backend.calls, []);
});

t.test('two nodes do not wait for each other, the same one is ABORTED when it is asked for other things', async (t) => {
  const { backend, service, publish } = site();
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  backend.beforeWork = async () => held;
  const first = publish('n1');
  const twin = publish('n1');
  const id = idOf('v');
  await t.rejects(publish('n1', { readOnly: true }), { code: 'ABORTED', message: /on node "n1"/ });
  await t.rejects(service.unpublishVolume(ctx, { id, node: 'n1', credentials: undefined }), { code: 'ABORTED' });
  backend.beforeWork = async () => Promise.resolve();
  await service.unpublishVolume(ctx, { id, node: 'n2', credentials: undefined });
  release();
  t.strictSame(await twin, await first);
  t.strictSame(backend.calls, ['attach v to n1', 'detach v from n2']);
});

t.test('detaching without a node means all of them, known or not', async (t) => {
  const { backend, service } = site([]);
  for (const node of ['', 'gone']) await service.unpublishVolume(ctx, { id: idOf('v'), node, credentials: undefined });
  t.strictSame(backend.calls, ['detach v from all', 'detach v from gone']);
});

t.test(
  'a node is looked for in this process, in the list, then with the orchestrator; without any, all are believed',
  async (t) => {
    const orchestrator = { has: async (_ctx: unknown, node: string) => Promise.resolve(node === 'k') };
    const directory = (own?: string, listed?: string[], k8s = false) => {
      const nodes = nodeDirectory({ own, listed: () => listed, orchestrator: k8s ? orchestrator : undefined });
      return async (node: string) => nodes.has(ctx, node);
    };
    t.equal(await directory()('x'), true);
    t.equal(await directory('own')('own'), true);
    t.equal(await directory('own')('x'), false);
    t.equal(await directory('own', ['x'])('x'), true);
    t.equal(await directory('own', [], true)('k'), false, 'a list is all there is, an empty one too');
    t.equal(await directory('own', [], true)('own'), true);
    t.equal(await directory(undefined, undefined, true)('k'), true);
    t.equal(await directory(undefined, undefined, true)('x'), false);
  },
);
