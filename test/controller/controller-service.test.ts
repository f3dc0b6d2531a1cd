import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { CreateVolumeInput } from '../../src/backend/backend.js';
import { controllerService } from '../../src/controller/controller-service.js';
import type { BackendKind } from '../../src/domain/backend-kind.js';
import type { VolumeCapability } from '../../src/domain/capability.js';
import { KeyedLock } from '../../src/platform/keyed-lock.js';
import { testContext } from '../platform/test-context.js';
import { FakeController, idOf } from './fake-backend.js';

const ext4: VolumeCapability = {
  mode: 'SINGLE_NODE_WRITER',
  access: { type: 'mount', fsType: 'ext4', mountFlags: [] },
};
const ntfs: VolumeCapability = { ...ext4, access: { type: 'mount', fsType: 'ntfs', mountFlags: [] } };

const create = (name: string, change: Partial<CreateVolumeInput> = {}): CreateVolumeInput => ({
  name,
  capacity: { requiredBytes: 10n, limitBytes: 0n },
  capabilities: [ext4],
  parameters: {},
  mutableParameters: {},
  credentials: undefined,
  source: undefined,
  ...change,
});

function serviceOf(...backends: FakeController[]) {
  const byKind = new Map(backends.map((backend) => [backend.kind, backend] as [BackendKind, FakeController]));
  return controllerService({
    backends: byKind,
    lock: new KeyedLock(),
    nodes: { has: async () => Promise.resolve(true) },
    clusterReach: () => [],
  });
}

/** Holds the backend's work until the returned function is called. */
function hold(backend: FakeController): () => void {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  backend.beforeWork = async () => held;
  return release;
}

const ctx = testContext();

t.test('an equal CreateVolume that arrives meanwhile shares the one volume that is made', async (t) => {
  const backend = new FakeController();
  const release = hold(backend);
  const service = serviceOf(backend);
  const first = service.createVolume(ctx, create('a', { parameters: { x: '1', y: '2' } }));
  const twin = service.createVolume(ctx, create('a', { parameters: { y: '2', x: '1' } }));
  release();
  t.strictSame(await twin, await first);
  t.strictSame(backend.calls, ['create a']);
});

const others: readonly [string, Partial<CreateVolumeInput>][] = [
  ['size', { capacity: { requiredBytes: 11n, limitBytes: 0n } }],
  ['limit', { capacity: { requiredBytes: 10n, limitBytes: 99n } }],
  ['range', { capacity: undefined }],
  ['parameters', { parameters: { x: '1' } }],
  ['mutable parameters', { mutableParameters: { x: '1' } }],
  ['capabilities', { capabilities: [{ ...ext4, mode: 'SINGLE_NODE_READER_ONLY' }] }],
];

for (const [what, change] of others) {
  t.test(`a CreateVolume of the same name with another ${what} is ABORTED while the first runs`, async (t) => {
    const backend = new FakeController();
    const release = hold(backend);
    const service = serviceOf(backend);
    const first = service.createVolume(ctx, create('a'));
    await t.rejects(
      Promise.race([service.createVolume(ctx, create('a', change)), sleep(1_000, undefined, { ref: false })]),
      {
        code: 'ABORTED',
        message: /CreateVolume is still working on rbd:a:p::a/,
      },
    );
    release();
    await first;
    t.equal(backend.calls.length, 1);
  });
}

t.test('DeleteVolume and CreateVolume of one volume exclude each other; another volume does not wait', async (t) => {
  const backend = new FakeController().add('a');
  const release = hold(backend);
  const service = serviceOf(backend);
  const deleting = service.deleteVolume(ctx, { id: idOf('a'), credentials: undefined });
  await t.rejects(service.createVolume(ctx, create('a')), { code: 'ABORTED', message: /^DeleteVolume is still/ });
  backend.beforeWork = async () => Promise.resolve();
  t.match(await service.createVolume(ctx, create('b')), { id: { image: 'b' } });
  release();
  await deleting;
  await service.createVolume(ctx, create('a'));
});

t.test('a capability that the backend objects to is refused before anything is made', async (t) => {
  const backend = new FakeController();
  await t.rejects(serviceOf(backend).createVolume(ctx, create('a', { capabilities: [ext4, ntfs] })), {
    code: 'INVALID_ARGUMENT',
    message: 'volume_capabilities: fs_type "ntfs" is not supported',
  });
  t.strictSame(backend.calls, []);
});

t.test('the parameter backend names one that is served, or is refused with those that are', async (t) => {
  const other = new FakeController('other');
  const service = serviceOf(new FakeController(), other);
  await service.createVolume(ctx, create('a', { parameters: { backend: 'other' } }));
  t.strictSame(other.calls, ['create a']);
  await t.rejects(service.createVolume(ctx, create('a', { parameters: { backend: 'nfs' } })), {
    code: 'INVALID_ARGUMENT',
    message: 'parameter backend is "nfs": this driver serves rbd, other (see --backends)',
  });
});

t.test('garbage ids get what each RPC owes: OK for DeleteVolume, NOT_FOUND for validation', async (t) => {
  const backend = new FakeController();
  const service = serviceOf(backend);
  await service.deleteVolume(ctx, { id: undefined, credentials: undefined });
  t.strictSame(backend.calls, []);
  const validate = { id: undefined, idText: 'fake', capabilities: [ext4], context: {}, credentials: undefined };
  const missing = { code: 'NOT_FOUND', message: 'volume "fake" does not exist' };
  await t.rejects(service.validateVolumeCapabilities(ctx, validate), missing);
  await t.rejects(service.validateVolumeCapabilities(ctx, { ...validate, id: idOf('fake') }), missing);
  await t.rejects(service.modifyVolume(ctx, { ...validate, mutableParameters: {} }), missing);
});

t.test('an id of a backend that is not served is not taken for a deleted volume', async (t) => {
  const service = serviceOf(new FakeController('other'));
  const deleting = service.deleteVolume(ctx, { id: idOf('a'), credentials: undefined });
  await t.rejects(deleting, { code: 'FAILED_PRECONDITION', message: /backend "rbd".*enable it by --backends/ });
});

t.test('validation gives the first objection, also to a context of another volume', async (t) => {
  const service = serviceOf(new FakeController().add('a'));
  const input = { id: idOf('a'), idText: 'rbd:a:p::a', capabilities: [ext4], context: {}, credentials: undefined };
  const validate: typeof service.validateVolumeCapabilities = async (...args) =>
    service.validateVolumeCapabilities(...args);
  t.equal(await validate(ctx, input), undefined);
  t.equal(await validate(ctx, { ...input, context: { mounter: 'krbd' } }), undefined);
  t.match(await validate(ctx, { ...input, capabilities: [ext4, ntfs] }), /ntfs/);
  t.match(await validate(ctx, { ...input, context: { mounter: 'nbd' } }), /"mounter" is not what CreateVolume gave/);
  t.match(await validate(ctx, { ...input, context: { pool: 'x' } }), /"pool"/);
});

t.test('the capacity for a use that is impossible is nothing', async (t) => {
  const service = serviceOf(new FakeController());
  t.match(await service.getCapacity(ctx, { parameters: {}, capabilities: [ext4] }), { availableBytes: 100n });
  const impossible = await service.getCapacity(ctx, { parameters: {}, capabilities: [ext4, ntfs] });
  t.match(impossible, { availableBytes: 0n, maximumVolumeBytes: 50n });
});
