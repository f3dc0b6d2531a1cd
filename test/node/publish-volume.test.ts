import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { StagedVolume } from '../../src/backend/backend.js';
import type { AccessMode, VolumeCapability } from '../../src/domain/capability.js';
import { DriverError } from '../../src/domain/errors.js';
import type { PublishInput } from '../../src/node/node-service.js';
import { Secret } from '../../src/platform/secret.js';
import { testContext } from '../platform/test-context.js';
import { fakeService, id } from './fake-node.js';

const mountAccess: VolumeCapability['access'] = { type: 'mount', fsType: 'ext4', mountFlags: [] };

/** A staged volume and a way to publish it below the test's directory. */
async function staged(t: Test, change: Partial<StagedVolume> = {}) {
  const { backend, mounter, service } = fakeService();
  const root = t.testdir({ stage: { device: '' } });
  const stagingPath = join(root, 'stage');
  const access = change.access ?? 'mount';
  const source = access === 'mount' ? stagingPath : join(stagingPath, 'device');
  const flags = change.readOnly === true ? ['ro'] : [];
  if (access === 'mount') await mounter.mount('/dev/fake0', source, 'ext4', flags);
  else await mounter.bindMount('/dev/fake0', source);
  backend.stagedAt.set(stagingPath, { access, source, readOnly: false, works: true, ...change });
  const target = (name: string) => join(root, 'pods', name);
  const publish = async (name: string, input: Partial<PublishInput> & { mode?: AccessMode } = {}) => {
    const { mode = 'SINGLE_NODE_MULTI_WRITER', ...rest } = input;
    const capability: VolumeCapability = { mode, access: access === 'mount' ? mountAccess : { type: 'block' } };
    const attached = { required: false, readOnly: false, fencedClients: [] };
    const request = { context: {}, attached, credentials: undefined, readOnly: false };
    const base = { id, stagingPath, targetPath: target(name), capability, ...request };
    await service.publishVolume(testContext(), { ...base, ...rest });
    return (await mounter.list()).find(({ mountPoint }) => mountPoint === target(name));
  };
  return { backend, mounter, publish, target, service, root };
}

t.test('a volume is bound to its target, which is made with the directories above', async (t) => {
  const { publish, target } = await staged(t);
  t.match(await publish('a/b/mount'), { source: '/dev/fake0', mountOptions: ['rw'] });
  t.ok((await stat(target('a/b/mount'))).isDirectory());
});

/** A staged volume that has died; `outcome` is what staging it anew comes to. */
async function died(t: Test, outcome: () => Promise<void>) {
  const all = await staged(t, { works: false });
  all.backend.stage = async (_ctx, input) => {
    all.backend.calls.push(JSON.stringify([input.stagingPath, input.context, input.credentials]));
    await outcome();
    const before = all.backend.stagedAt.get(input.stagingPath);
    if (before !== undefined) all.backend.stagedAt.set(input.stagingPath, { ...before, works: true });
  };
  return all;
}

t.test('a staged volume that has died is staged anew, with what the request has, and then bound', async (t) => {
  const { publish, backend, root } = await died(t, async () => Promise.resolve());
  const credentials = { user: 'k8s', key: new Secret('key') };
  await publish('a', { context: { mounter: 'fuse' }, credentials });
  t.strictSame(backend.calls, [
    JSON.stringify([join(root, 'stage'), { mounter: 'fuse' }, { user: 'k8s', key: '***' }]),
  ]);
});

t.test('when it can not be staged anew, the answer says why and what to do', async (t) => {
  const { publish, mounter, target } = await died(t, async () =>
    Promise.reject(new DriverError('UNAVAILABLE', 'the monitors are down')),
  );
  await t.rejects(publish('a'), {
    code: 'FAILED_PRECONDITION',
    message: /what served it has died, and staging it anew failed: the monitors are down; .*repeat NodeStageVolume$/,
  });
  t.notOk(await mounter.isMountPoint(target('a')));
});

t.test(
  'a node that was told of fenced clients asks the backend first, and publishes what works all the same',
  async (t) => {
    const { publish, backend, target, mounter } = await staged(t);
    const attached = { required: false, readOnly: false, fencedClients: ['10.0.0.1:0/1'] };
    await publish('a', { attached });
    t.equal(backend.calls.length, 1);
    backend.stage = async () => Promise.reject(new DriverError('UNAUTHENTICATED', 'no key'));
    await publish('b', { attached });
    t.ok(await mounter.isMountPoint(target('b')));
    backend.stage = async () => {
      backend.stagedAt.clear();
      return Promise.reject(new DriverError('FAILED_PRECONDITION', 'attached to node "b"'));
    };
    await t.rejects(publish('c', { attached }), { code: 'FAILED_PRECONDITION', message: /attached to node "b"/ });
    t.notOk(await mounter.isMountPoint(target('c')));
  },
);

t.test('a block volume is bound to a file', async (t) => {
  const { publish, target } = await staged(t, { access: 'block' });
  await publish('block');
  t.ok((await stat(target('block'))).isFile());
});

t.test('a volume that is not staged at the path named is FAILED_PRECONDITION', async (t) => {
  const { publish } = await staged(t);
  await t.rejects(publish('a', { stagingPath: '/elsewhere' }), {
    code: 'FAILED_PRECONDITION',
    message: /rbd:a:p::i is not staged at staging_target_path \/elsewhere: call NodeStageVolume/,
  });
});

// The table of the CSI specification: a second NodePublishVolume while the first is in force.
const secondCalls: readonly [string, AccessMode, 'same' | 'other', boolean, string][] = [
  ['the same target with the same arguments', 'SINGLE_NODE_WRITER', 'same', false, 'OK'],
  ['the same target with the same arguments', 'SINGLE_NODE_MULTI_WRITER', 'same', false, 'OK'],
  ['the same target with the same arguments', 'MULTI_NODE_MULTI_WRITER', 'same', false, 'OK'],
  ['the same target, now read-only', 'SINGLE_NODE_MULTI_WRITER', 'same', true, 'ALREADY_EXISTS'],
  ['the same target, now read-only', 'SINGLE_NODE_SINGLE_WRITER', 'same', true, 'ALREADY_EXISTS'],
  ['another target', 'SINGLE_NODE_WRITER', 'other', false, 'FAILED_PRECONDITION'],
  ['another target', 'SINGLE_NODE_SINGLE_WRITER', 'other', false, 'FAILED_PRECONDITION'],
  ['another target', 'SINGLE_NODE_MULTI_WRITER', 'other', false, 'OK'],
  ['another target', 'SINGLE_NODE_MULTI_WRITER', 'other', true, 'OK'],
  ['another target', 'MULTI_NODE_SINGLE_WRITER', 'other', false, 'OK'],
  ['another target', 'MULTI_NODE_MULTI_WRITER', 'other', false, 'OK'],
];

for (const [what, mode, where, readOnly, code] of secondCalls) {
  t.test(`a second publish with ${mode} to ${what} is ${code}`, async (t) => {
    const { publish, mounter } = await staged(t);
    await publish('first', { mode });
    const binds = () =>
      mounter.actions.filter(({ action, target }) => action === 'bindMount' && target.includes('/pods/')).length;
    const before = binds();
    const second = publish(where === 'same' ? 'first' : 'second', { mode, readOnly });
    if (code === 'OK') await t.resolves(second);
    else await t.rejects(second, { code, message: where === 'same' ? /unpublish it first/ : /pods\/first already/ });
    t.equal(binds() - before, code === 'OK' && where === 'other' ? 1 : 0, 'binds made by it');
  });
}

t.test('after the first target is unpublished, a single-target volume may have another', async (t) => {
  const { publish, service, target } = await staged(t);
  const mode = 'SINGLE_NODE_SINGLE_WRITER';
  await publish('first', { mode });
  await service.unpublishVolume(testContext(), { idText: 'rbd:a:p::i', targetPath: target('first') });
  await t.resolves(publish('second', { mode }));
});

for (const [why, input] of [
  ['the readonly flag', { readOnly: true }],
  ['a reader mode', { mode: 'SINGLE_NODE_READER_ONLY' }],
] as const) {
  t.test(`a publish by ${why} is bound read-only, and again is OK`, async (t) => {
    const { publish } = await staged(t);
    t.match(await publish('a', input), { mountOptions: ['ro'] });
    await t.resolves(publish('a', input));
    await t.rejects(publish('a'), { code: 'ALREADY_EXISTS', message: /mounted read-only/ });
  });
}

t.test(
  'what is staged read-only is not published for writing, and a block device not the other way round',
  async (t) => {
    const readOnly = await staged(t, { readOnly: true });
    await t.rejects(readOnly.publish('a'), { code: 'FAILED_PRECONDITION', message: /is staged read-only/ });
    await t.resolves(readOnly.publish('a', { readOnly: true }));
    const block = await staged(t, { access: 'block' });
    await t.rejects(block.publish('a', { readOnly: true }), {
      code: 'FAILED_PRECONDITION',
      message: /staged for writing and can't be published read-only/,
    });
  },
);

t.test('a volume staged as one kind is not published as the other', async (t) => {
  const { publish } = await staged(t);
  const capability: VolumeCapability = { mode: 'SINGLE_NODE_WRITER', access: { type: 'block' } };
  await t.rejects(publish('a', { capability }), {
    code: 'FAILED_PRECONDITION',
    message: /is staged as mount and can't be published as block/,
  });
});

t.test('a target that has another mount is ALREADY_EXISTS, naming what is there', async (t) => {
  const { publish, mounter, target } = await staged(t);
  await mkdir(target('a'), { recursive: true });
  await mounter.mount('/dev/other', target('a'), 'xfs', []);
  await t.rejects(publish('a'), { code: 'ALREADY_EXISTS', message: /pods\/a has \/dev\/other mounted for writing/ });
});

t.test('a target of the wrong kind is refused and left as it is', async (t) => {
  const { publish, target, root } = await staged(t);
  await mkdir(join(root, 'pods'));
  await writeFile(target('file'), 'content');
  await t.rejects(publish('file'), { code: 'INVALID_ARGUMENT', message: /is a file, and a mounted volume needs/ });
  t.equal((await stat(target('file'))).size, 7);
});

t.test('a bind that fails is reported in the terms of the driver', async (t) => {
  const { publish, mounter } = await staged(t);
  const { MountError } = await import('mount-utils-ts');
  mounter.failNext('bindMount', new MountError('Unknown', 'mount exited with 32'));
  await t.rejects(publish('a'), { name: 'DriverError', code: 'INTERNAL', message: 'mount exited with 32' });
  await t.resolves(publish('a'), 'and the lock is free again');
});
