import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { StageInput } from '../../src/backend/backend.js';
import { nodeService } from '../../src/node/node-service.js';
import { KeyedLock } from '../../src/platform/keyed-lock.js';
import { testContext } from '../platform/test-context.js';
import { fakeService, id } from './fake-node.js';

const ctx = testContext();
const input = (change: Partial<StageInput> = {}): StageInput => ({
  id,
  stagingPath: '/nowhere/stage',
  capability: { mode: 'SINGLE_NODE_WRITER', access: { type: 'block' } },
  context: {},
  attached: { required: false, readOnly: false, fencedClients: [] },
  credentials: undefined,
  ...change,
});

t.test('an equal NodeStageVolume that arrives meanwhile shares the one that runs; any other is ABORTED', async (t) => {
  const { backend, service } = fakeService();
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  backend.beforeWork = async () => held;
  const first = service.stageVolume(ctx, input());
  const twin = service.stageVolume(ctx, input());
  const busy = { code: 'ABORTED', message: /NodeStageVolume is still working on rbd:a:p::i/ };
  const others = [
    service.stageVolume(ctx, input({ stagingPath: '/nowhere/else' })),
    service.stageVolume(ctx, input({ context: { mounter: 'nbd' } })),
    service.unstageVolume(ctx, { id, idText: 'rbd:a:p::i', stagingPath: '/nowhere/stage' }),
    service.unpublishVolume(ctx, { idText: 'rbd:a:p::i', targetPath: '/nowhere/target' }),
  ];
  for (const other of others) await t.rejects(Promise.race([other, sleep(1_000, undefined, { ref: false })]), busy);
  await t.resolves(
    service.unstageVolume(ctx, { id: undefined, idText: 'garbage', stagingPath: '/nowhere/stage' }),
    'another volume does not wait',
  );
  release();
  await Promise.all([first, twin]);
  t.strictSame(backend.calls, ['stage /nowhere/stage']);
});

t.test('a staging path that is a file is refused before anything is staged', async (t) => {
  const { backend, service } = fakeService();
  const stagingPath = join(t.testdir({ file: 'content' }), 'file');
  await t.rejects(service.stageVolume(ctx, input({ stagingPath })), {
    code: 'INVALID_ARGUMENT',
    message: /staging_target_path .*\/file is a file/,
  });
  t.strictSame(backend.calls, []);
});

t.test('garbage ids get what each RPC owes: OK for unstage and unpublish, NOT_FOUND for stats', async (t) => {
  const { backend, mounter, service } = fakeService();
  await service.unstageVolume(ctx, { id: undefined, idText: 'fake', stagingPath: '/nowhere' });
  await service.unpublishVolume(ctx, { idText: 'fake', targetPath: '/nowhere' });
  const stats = { id: undefined, idText: 'fake', volumePath: '/' };
  await t.rejects(service.getVolumeStats(ctx, stats), { code: 'NOT_FOUND', message: /volume "fake"/ });
  t.strictSame(backend.calls, []);
  t.strictSame(mounter.actions, []);
});

t.test('unpublish unmounts what is at the target, whatever the id says, and removes the target', async (t) => {
  const { mounter, service } = fakeService();
  const targetPath = join(t.testdir({ target: {} }), 'target');
  await mounter.mount('/dev/fake0', targetPath, 'ext4', []);
  await service.unpublishVolume(ctx, { idText: 'garbage', targetPath });
  t.notOk(await mounter.isMountPoint(targetPath));
  await t.rejects(stat(targetPath), { code: 'ENOENT' });
  await t.resolves(service.unpublishVolume(ctx, { idText: 'garbage', targetPath }), 'and again is OK');
});

t.test('unpublish never deletes what is in a target that is not mounted', async (t) => {
  const { service } = fakeService();
  const targetPath = join(t.testdir({ target: { precious: 'data' } }), 'target');
  await t.rejects(service.unpublishVolume(ctx, { idText: 'garbage', targetPath }), {
    name: 'DriverError',
    message: /not empty/,
  });
  t.equal((await stat(join(targetPath, 'precious'))).size, 4);
});

t.test('stats are asked of a mounted path only, relative ones included', async (t) => {
  const { mounter, service } = fakeService();
  const volumePath = t.testdir({});
  const request = { id, idText: 'rbd:a:p::i', volumePath };
  const nowhere = { code: 'NOT_FOUND', message: /is not at volume_path .*nothing is mounted there/ };
  await t.rejects(service.getVolumeStats(ctx, request), nowhere);
  await t.rejects(service.getVolumeStats(ctx, { ...request, volumePath: 'some/path' }), nowhere);
  await mounter.mount('/dev/fake0', volumePath, 'ext4', []);
  const [bytes, inodes] = await service.getVolumeStats(ctx, request);
  t.match(bytes, { unit: 'BYTES' });
  t.match(inodes, { unit: 'INODES' });
  for (const usage of [bytes, inodes]) {
    if (usage === undefined) throw new Error('a usage is missing');
    t.ok(usage.total > 0n && usage.used >= 0n && usage.used + usage.available <= usage.total, usage.unit);
  }
});

t.test('a backend that counts inodes itself is believed', async (t) => {
  const { backend, mounter, service } = fakeService();
  const volumePath = t.testdir({});
  await mounter.mount('/dev/fake0', volumePath, 'ext4', []);
  const counted = async (used: bigint, total: bigint) => {
    backend.inodes = async () => Promise.resolve({ used, total });
    return (await service.getVolumeStats(ctx, { id, idText: 'rbd:a:p::i', volumePath }))[1];
  };
  t.strictSame(await counted(7n, 10n), { unit: 'INODES', used: 7n, total: 10n, available: 3n });
  t.strictSame(await counted(12n, 10n), { unit: 'INODES', used: 12n, total: 10n, available: 0n });
  t.strictSame(await counted(7n, 0n), { unit: 'INODES', used: 7n, total: 0n, available: 0n }, 'no limit');
});

t.test('a mount whose directory is gone is NOT_FOUND', async (t) => {
  const { mounter, service } = fakeService();
  const volumePath = join(t.testdir({}), 'gone');
  await mounter.mount('/dev/fake0', volumePath, 'ext4', []);
  await t.rejects(service.getVolumeStats(ctx, { id, idText: 'rbd:a:p::i', volumePath }), {
    code: 'NOT_FOUND',
    message: /is absent/,
  });
});

t.test('a volume of a backend that the node does not serve is named as such', async (t) => {
  const { mounter } = fakeService();
  const service = nodeService({
    backends: new Map(),
    lock: new KeyedLock(),
    mounter,
    runDir: '/nowhere',
    storageHealth: async () => Promise.resolve([]),
    topology: async () => Promise.resolve(undefined),
  });
  const refusal = { code: 'FAILED_PRECONDITION', message: /backend "rbd", which this node does not serve/ };
  await t.rejects(service.stageVolume(ctx, input()), refusal);
  await t.rejects(service.unstageVolume(ctx, { id, idText: 'x', stagingPath: '/nowhere' }), refusal);
});
