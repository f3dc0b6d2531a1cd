import { join } from 'node:path';
import t from 'tap';
import { FakeMounter } from '../src/fake-mounter.js';
import { MountError } from '../src/mount-error.js';
import { mounterContract } from './mounter.contract.js';

mounterContract(
  t,
  () =>
    Promise.resolve({ mounter: new FakeMounter(), makeDir: (name: string) => Promise.resolve(join('/fake', name)) }),
  false,
);

void t.test('what was asked is recorded in order, sensitive options apart', async (t) => {
  const mounter = new FakeMounter();
  await mounter.mountSensitive('src', '/t', 'tmpfs', ['rw'], ['key=1']);
  await mounter.unmount('/t');
  t.strictSame(mounter.actions, [
    { action: 'mount', source: 'src', target: '/t', fsType: 'tmpfs', options: ['rw'], sensitiveOptions: ['key=1'] },
    { action: 'unmount', target: '/t' },
  ]);
});

void t.test('a failure that was ordered strikes once, and leaves the table alone', async (t) => {
  const mounter = new FakeMounter();
  mounter.failNext('mount', new Error('ordered'));
  await t.rejects(mounter.mount('src', '/t', 'tmpfs', []), /ordered/);
  t.equal(await mounter.isMountPoint('/t'), false);
  await mounter.mount('src', '/t', 'tmpfs', []);
  t.equal(await mounter.isMountPoint('/t'), true);
});

void t.test('an unmount that times out is followed by a lazy one', async (t) => {
  const mounter = new FakeMounter();
  await mounter.mount('src', '/t', 'tmpfs', []);
  mounter.failNext('unmount', new MountError('Unknown', 'slow', { failure: 'timed-out' }));
  await mounter.unmountWithForce('/t', 10);
  t.strictSame(
    mounter.actions.map((action) => action.action),
    ['mount', 'unmount', 'unmountLazy'],
  );
  t.equal(await mounter.isMountPoint('/t'), false);
});

void t.test('the list is a copy: changing it changes no mount', async (t) => {
  const mounter = new FakeMounter();
  (await mounter.list()).length = 0;
  t.equal(await mounter.isMountPoint('/'), true);
});

void t.test('an aborted signal stops the fake as it stops the real one', async (t) => {
  const mounter = new FakeMounter();
  await t.rejects(mounter.mount('s', '/t', 'tmpfs', [], { signal: AbortSignal.abort() }), { name: 'AbortError' });
  t.strictSame(mounter.actions, []);
});
