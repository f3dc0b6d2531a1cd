import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { withDeadline } from '../../src/platform/deadline.js';

t.test('work that ends in time gives its own outcome', async (t) => {
  t.equal(await withDeadline(sleep(5, 'done'), 1_000, 'statfs'), 'done');
  await t.rejects(withDeadline(Promise.reject(new Error('EIO')), 1_000, 'statfs'), { message: 'EIO' });
});

t.test('work that hangs is UNAVAILABLE when the time is up', async (t) => {
  const startMs = performance.now();
  await t.rejects(withDeadline(new Promise(() => undefined), 60, 'statfs /mnt'), {
    code: 'UNAVAILABLE',
    message: /^statfs \/mnt gave no answer within 60 ms/,
  });
  t.ok(performance.now() - startMs < 1_000);
});

t.test('a failure that comes after the deadline ends nothing', async (t) => {
  const failing = sleep(60).then(() => {
    throw new Error('too late');
  });
  await t.rejects(withDeadline(failing, 10, 'statfs'), { code: 'UNAVAILABLE' });
  // An unhandled rejection would end this process here.
  await sleep(120);
});

t.test('no timer is left running after work that ended in time', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  await withDeadline(Promise.resolve(1), 600_000, 'statfs');
  t.equal(timers(), before);
});
