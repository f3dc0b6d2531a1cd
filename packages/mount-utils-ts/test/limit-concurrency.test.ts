import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { limitConcurrency } from '../src/limit-concurrency.js';

void t.test('no more tasks run at once than the limit allows, and all of them run', async (t) => {
  const limited = limitConcurrency(3);
  let running = 0;
  let most = 0;
  const tasks = Array.from({ length: 20 }, (_, index) =>
    limited(async () => {
      most = Math.max(most, ++running);
      await sleep(1 + (index % 4));
      running--;
      return index;
    }),
  );
  t.strictSame(
    await Promise.all(tasks),
    Array.from({ length: 20 }, (_, index) => index),
  );
  t.equal(most, 3);
});

void t.test('a task that fails gives its place back', async (t) => {
  const limited = limitConcurrency(1);
  await t.rejects(
    limited(() => Promise.reject(new Error('broken'))),
    /broken/,
  );
  t.equal(await limited(() => Promise.resolve('next')), 'next');
});

void t.test('a waiting task leaves the queue when it is aborted, and never runs', async (t) => {
  const limited = limitConcurrency(1);
  let free = (): void => undefined;
  const first = limited(() => new Promise<void>((resolve) => (free = resolve)));
  const controller = new AbortController();
  let ran = false;
  const second = limited(() => {
    ran = true;
    return Promise.resolve();
  }, controller.signal);
  const third = limited(() => Promise.resolve('third'));
  controller.abort(new Error('given up'));
  await t.rejects(second, /given up/);
  free();
  await first;
  t.equal(await third, 'third');
  t.equal(ran, false);
});

void t.test('a limit that would let nothing run is refused', (t) => {
  t.throws(() => limitConcurrency(0), RangeError);
  t.throws(() => limitConcurrency(1.5), RangeError);
  t.end();
});
