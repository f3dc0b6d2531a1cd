import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { type Backlog, BackgroundQueue, type WorkOutcome } from '../../src/backend/background-queue.js';
import { DriverError } from '../../src/domain/errors.js';
import type { CallContext } from '../../src/platform/call-context.js';
import { uncounted } from '../../src/platform/background-count.js';
import { testContext } from '../platform/test-context.js';

/** A backlog in memory; `answer` decides what becomes of an entry. */
class FakeBacklog implements Backlog {
  readonly name = 'backlog';
  readonly left: Set<string>;
  readonly calls: string[] = [];
  lockedByAnother = false;
  answer: (entry: string) => Promise<WorkOutcome> | WorkOutcome = () => 'done';

  constructor(...entries: string[]) {
    this.left = new Set(entries);
  }

  async entries(): Promise<string[]> {
    return Promise.resolve([...this.left]);
  }

  async lock(): Promise<boolean> {
    this.calls.push('lock');
    return Promise.resolve(!this.lockedByAnother);
  }

  async unlock(ctx: CallContext): Promise<void> {
    this.calls.push(ctx.signal.aborted ? 'unlock that is not sent' : 'unlock');
    return Promise.resolve();
  }

  async work(_ctx: unknown, entry: string): Promise<WorkOutcome> {
    this.calls.push(`work ${entry}`);
    const outcome = await this.answer(entry);
    if (outcome === 'done') this.left.delete(entry);
    return outcome;
  }
}

function queueOf(backlog: FakeBacklog, open: () => Promise<Backlog> = async () => Promise.resolve(backlog)) {
  const context = testContext();
  const queue = new BackgroundQueue<string>({
    open,
    keyOf: (place) => place,
    log: context.log,
    doing: 'working',
    count: uncounted,
    delayMs: 1,
    retryMs: 5,
  });
  return { queue, context };
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) await sleep(5);
  if (!holds()) throw new Error('it does not come to hold');
}

t.test('what is scheduled is done under the lock, and the lock is given up', async (t) => {
  const backlog = new FakeBacklog('a', 'b', 'c');
  const { queue } = queueOf(backlog);
  queue.schedule('place', undefined);
  await until(() => backlog.calls.includes('unlock'));
  t.equal(backlog.left.size, 0);
  t.equal(backlog.calls[0], 'lock');
  t.equal(backlog.calls.at(-1), 'unlock');
  await queue.close();
});

t.test('where nothing waits, nothing is locked', async (t) => {
  const backlog = new FakeBacklog();
  const { queue } = queueOf(backlog);
  queue.schedule('place', undefined);
  await sleep(30);
  t.strictSame(backlog.calls, []);
  await queue.close();
});

t.test('what could not be done is tried again, what is not ours is not', async (t) => {
  const backlog = new FakeBacklog('held', 'foreign');
  let tries = 0;
  backlog.answer = (entry) => (entry === 'foreign' ? 'not ours' : ++tries < 3 ? 'left' : 'done');
  const { queue } = queueOf(backlog);
  queue.schedule('place', undefined);
  await until(() => !backlog.left.has('held'));
  await until(() => backlog.calls.at(-1) === 'unlock');
  const calls = backlog.calls.length;
  await sleep(50);
  t.equal(backlog.calls.length, calls, 'then it rests');
  await queue.close();
});

t.test('another controller that holds the lock is waited for', async (t) => {
  const backlog = new FakeBacklog('a');
  backlog.lockedByAnother = true;
  const { queue } = queueOf(backlog);
  queue.schedule('place', undefined);
  await until(() => backlog.calls.length >= 3);
  t.strictSame(new Set(backlog.calls), new Set(['lock']));
  backlog.lockedByAnother = false;
  await until(() => backlog.left.size === 0);
  await queue.close();
});

t.test('a place is met once, and scheduled as often as there is something', async (t) => {
  const backlog = new FakeBacklog();
  let opened = 0;
  const { queue } = queueOf(backlog, async () => {
    opened++;
    return Promise.resolve(backlog);
  });
  queue.meet('place', undefined);
  queue.meet('place', undefined);
  await until(() => opened === 1);
  await sleep(20);
  queue.meet('place', undefined);
  await sleep(20);
  t.equal(opened, 1);
  queue.schedule('place', undefined);
  await until(() => opened === 2);
  await queue.close();
});

t.test('a cluster that does not answer is asked again, one that refuses is not', async (t) => {
  for (const [code, wanted] of [
    ['UNAVAILABLE', 3],
    ['PERMISSION_DENIED', 1],
  ] as const) {
    let opened = 0;
    const { queue, context } = queueOf(new FakeBacklog('a'), async () => {
      opened++;
      return Promise.reject(new DriverError(code, 'no'));
    });
    queue.schedule('place', undefined);
    await until(() => opened >= wanted);
    await sleep(30);
    if (wanted === 1) t.equal(opened, 1);
    t.ok(context.lines.length > 0, 'it is said in the log');
    await queue.close();
  }
});

t.test('beside requests only one entry is worked on at a time', async (t) => {
  const backlog = new FakeBacklog('a', 'b', 'c', 'd');
  let running = 0;
  let most = 0;
  backlog.answer = async (): Promise<WorkOutcome> => {
    most = Math.max(most, ++running);
    await sleep(10);
    running--;
    return 'done';
  };
  const { queue } = queueOf(backlog);
  const request = queue.beside(async () => sleep(200));
  queue.schedule('place', undefined);
  await request;
  t.equal(backlog.left.size, 3);
  t.equal(most, 1);
  await until(() => backlog.left.size === 0);
  for (const entry of ['e', 'f', 'g', 'h']) backlog.left.add(entry);
  queue.schedule('place', undefined);
  await until(() => backlog.left.size === 0);
  t.equal(most, 2, 'and two when it is quiet');
  await queue.close();
});

t.test('close waits for what is under way and begins nothing new', async (t) => {
  const backlog = new FakeBacklog('a', 'b', 'c', 'd', 'e');
  backlog.answer = async (): Promise<WorkOutcome> => {
    await sleep(30);
    return 'done';
  };
  const { queue } = queueOf(backlog);
  queue.schedule('place', undefined);
  await until(() => backlog.calls.some((call) => call.startsWith('work')));
  await queue.close();
  t.equal(backlog.calls.at(-1), 'unlock');
  t.ok(backlog.left.size >= 2);
  queue.schedule('place', undefined);
  const calls = backlog.calls.length;
  await sleep(20);
  t.equal(backlog.calls.length, calls);
});

t.test('an urgent entry comes first, and beside requests', async (t) => {
  const backlog = new FakeBacklog('a', 'b', 'urgent', 'c');
  const { queue } = queueOf(backlog, async () =>
    Promise.resolve(Object.assign(backlog, { isUrgent: (entry: string) => entry === 'urgent' })),
  );
  const request = queue.beside(async () => sleep(100));
  queue.schedule('place', undefined);
  await until(() => backlog.calls.length >= 2);
  t.strictSame(backlog.calls.slice(0, 2), ['lock', 'work urgent']);
  await request;
  await queue.close();
});

t.test('what waits and what is done is counted', async (t) => {
  const backlog = new FakeBacklog('a', 'b', 'foreign', 'held');
  backlog.answer = (entry) => (entry === 'foreign' ? 'not ours' : entry === 'held' ? 'left' : 'done');
  const waiting: number[] = [];
  let finished = 0;
  const queue = new BackgroundQueue<string>({
    open: async () => Promise.resolve(backlog),
    keyOf: (place) => place,
    log: testContext().log,
    doing: 'working',
    count: { waiting: (_place, entries) => waiting.push(entries), finished: () => finished++ },
    delayMs: 1,
    retryMs: 60_000,
  });
  queue.schedule('place', undefined);
  await until(() => backlog.calls.includes('unlock'));
  t.equal(waiting[0], 4);
  t.equal(waiting.at(-1), 1, 'the one that is left');
  t.equal(finished, 2);
  await queue.close();
});
