import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { DriverError } from '../../src/domain/errors.js';
import { KeyedLock } from '../../src/platform/keyed-lock.js';

/** Work whose end the test decides on, and which counts its runs. */
function gate<T>() {
  let runs = 0;
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => undefined);
  const work = async () => {
    runs++;
    return promise;
  };
  return { work, resolve, reject, runs: () => runs };
}

t.test('a twin that arrives while the first runs shares its result, and the work is done once', async (t) => {
  const lock = new KeyedLock();
  const { work, resolve, runs } = gate<object>();
  const first = lock.run('volume', 'CreateVolume', 'same', work);
  const twin = lock.run('volume', 'CreateVolume', 'same', work);
  const answer = { id: 1 };
  resolve(answer);
  t.equal(await first, answer);
  t.equal(await twin, answer);
  t.equal(runs(), 1);
});

for (const [what, operation, fingerprint] of [
  ['another request of the same kind', 'CreateVolume', 'other'],
  ['a request of another kind', 'DeleteVolume', 'same'],
] as const) {
  t.test(`${what} is told ABORTED at once, naming both`, async (t) => {
    const lock = new KeyedLock();
    const { work, resolve } = gate<number>();
    const first = lock.run('volume-7', 'CreateVolume', 'same', work);
    let ran = false;
    const refusal = lock.run('volume-7', operation, fingerprint, async () => {
      ran = true;
      return Promise.resolve(0);
    });
    // The first never ends here: an answer at all means an answer at once.
    await t.rejects(Promise.race([refusal, sleep(1_000, undefined, { ref: false })]), {
      code: 'ABORTED',
      message: new RegExp(`^CreateVolume is still working on volume-7: repeat ${operation}`),
    });
    t.notOk(ran);
    resolve(1);
    t.equal(await first, 1, 'the first one goes on');
  });
}

t.test('other keys do not wait', async (t) => {
  const lock = new KeyedLock();
  const { work, resolve } = gate<number>();
  const first = lock.run('a', 'CreateVolume', '', work);
  t.equal(await lock.run('b', 'CreateVolume', '', async () => Promise.resolve(2)), 2);
  resolve(1);
  await first;
});

t.test('the key is free again after success, failure, and work that throws before it starts waiting', async (t) => {
  const lock = new KeyedLock();
  const ok = async () => Promise.resolve('ok');
  t.equal(await lock.run('a', 'Create', '1', ok), 'ok');
  t.equal(await lock.run('a', 'Delete', '2', ok), 'ok');
  await t.rejects(
    lock.run('a', 'Create', '1', async () => Promise.reject(new Error('no'))),
    { message: 'no' },
  );
  t.equal(await lock.run('a', 'Delete', '2', ok), 'ok');
  const throwing = () => {
    throw new Error('at once');
  };
  await t.rejects(lock.run('a', 'Create', '1', throwing), { message: 'at once' });
  t.equal(await lock.run('a', 'Delete', '2', ok), 'ok');
});

t.test('a request after the end of its twin is work of its own', async (t) => {
  const lock = new KeyedLock();
  let runs = 0;
  const work = async () => Promise.resolve(++runs);
  t.equal(await lock.run('a', 'Create', '', work), 1);
  t.equal(await lock.run('a', 'Create', '', work), 2);
});

t.test('a twin shares a failure that speaks of the volume', async (t) => {
  const lock = new KeyedLock();
  const { work, reject } = gate<never>();
  const both = [lock.run('a', 'Create', '', work), lock.run('a', 'Create', '', work)];
  reject(new DriverError('RESOURCE_EXHAUSTED', 'the pool is full'));
  for (const one of both) await t.rejects(one, { code: 'RESOURCE_EXHAUSTED', message: 'the pool is full' });
});

for (const code of ['CANCELLED', 'DEADLINE_EXCEEDED'] as const) {
  t.test(`the twin of one that ended with ${code} is told ABORTED: its own caller is still there`, async (t) => {
    const lock = new KeyedLock();
    const { work, reject } = gate<never>();
    const first = lock.run('a', 'NodeStageVolume', '', work);
    const twin = lock.run('a', 'NodeStageVolume', '', work);
    reject(new DriverError(code, 'the caller went away'));
    await t.rejects(first, { code });
    await t.rejects(twin, { code: 'ABORTED', message: /the NodeStageVolume this one waited for was given up/ });
  });
}
