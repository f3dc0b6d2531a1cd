import t from 'tap';
import { chooseMounter } from '../../../src/backend/cephfs/choose-mounter.js';
import { testContext } from '../../platform/test-context.js';
import { fakeMounter } from './fake-mounters.js';

t.test('auto takes the kernel when nothing speaks against it, and then says nothing', async (t) => {
  const ctx = testContext();
  const chosen = await chooseMounter(ctx, [fakeMounter('kernel'), fakeMounter('fuse')], 'auto');
  t.equal(chosen.kind, 'kernel');
  t.strictSame(ctx.lines, []);
});

t.test('auto moves on and logs why', async (t) => {
  const ctx = testContext();
  const chosen = await chooseMounter(ctx, [fakeMounter('kernel', 'too old'), fakeMounter('fuse')], 'auto');
  t.equal(chosen.kind, 'fuse');
  t.match(ctx.lines, [{ level: 30, mounter: 'fuse', passedOver: ['kernel: too old'] }]);
});

t.test('a named mounter is used or an error, never another', async (t) => {
  const mounters = [fakeMounter('kernel', 'too old'), fakeMounter('fuse')];
  t.equal((await chooseMounter(testContext(), mounters, 'fuse')).kind, 'fuse');
  await t.rejects(chooseMounter(testContext(), mounters, 'kernel'), {
    code: 'FAILED_PRECONDITION',
    message: 'this node can\'t mount the volume with mounter "kernel": kernel: too old; or set mounter to "auto"',
  });
});

t.test('when none fits, the error has every objection', async (t) => {
  const mounters = [fakeMounter('kernel', 'too old'), fakeMounter('fuse', 'not there')];
  await t.rejects(chooseMounter(testContext(), mounters, 'auto'), {
    code: 'FAILED_PRECONDITION',
    message: /with mounter "auto": kernel: too old; fuse: not there$/,
  });
});
