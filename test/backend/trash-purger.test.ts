import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { type PurgeOutcome, type Trash, TrashPurger } from '../../src/backend/trash-purger.js';
import { DriverError } from '../../src/domain/errors.js';
import { testContext } from '../platform/test-context.js';

/** A trash in memory; `answer` decides what becomes of an entry. */
class FakeTrash implements Trash {
  readonly name = 'trash';
  readonly left: Set<string>;
  readonly calls: string[] = [];
  lockedByAnother = false;
  answer: (entry: string) => Promise<PurgeOutcome> | PurgeOutcome = () => 'purged';

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

  async unlock(): Promise<void> {
    this.calls.push('unlock');
    return Promise.resolve();
  }

  async purge(_ctx: unknown, entry: string): Promise<PurgeOutcome> {
    this.calls.push(`purge ${entry}`);
    const outcome = await this.answer(entry);
    if (outcome === 'purged') this.left.delete(entry);
    return outcome;
  }
}

function purgerOf(trash: FakeTrash, open: () => Promise<Trash> = async () => Promise.resolve(trash)) {
  const context = testContext();
  const purger = new TrashPurger<string>({ open, keyOf: (place) => place, log: context.log, delayMs: 1, retryMs: 5 });
  return { purger, context };
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) await sleep(5);
  if (!holds()) throw new Error('it does not come to hold');
}

t.test('what is scheduled is purged under the lock, and the lock is given up', async (t) => {
  const trash = new FakeTrash('a', 'b', 'c');
  const { purger } = purgerOf(trash);
  purger.schedule('place', undefined);
  await until(() => trash.calls.includes('unlock'));
  t.equal(trash.left.size, 0);
  t.equal(trash.calls[0], 'lock');
  t.equal(trash.calls.at(-1), 'unlock');
  await purger.close();
});

t.test('an empty trash is not locked', async (t) => {
  const trash = new FakeTrash();
  const { purger } = purgerOf(trash);
  purger.schedule('place', undefined);
  await sleep(30);
  t.strictSame(trash.calls, []);
  await purger.close();
});

t.test('what could not be purged is tried again, what is not ours is not', async (t) => {
  const trash = new FakeTrash('held', 'foreign');
  let tries = 0;
  trash.answer = (entry) => (entry === 'foreign' ? 'not ours' : ++tries < 3 ? 'left' : 'purged');
  const { purger } = purgerOf(trash);
  purger.schedule('place', undefined);
  await until(() => !trash.left.has('held'));
  await until(() => trash.calls.at(-1) === 'unlock');
  const calls = trash.calls.length;
  await sleep(50);
  t.equal(trash.calls.length, calls, 'then it rests');
  await purger.close();
});

t.test('another controller that holds the lock is waited for', async (t) => {
  const trash = new FakeTrash('a');
  trash.lockedByAnother = true;
  const { purger } = purgerOf(trash);
  purger.schedule('place', undefined);
  await until(() => trash.calls.length >= 3);
  t.strictSame(new Set(trash.calls), new Set(['lock']));
  trash.lockedByAnother = false;
  await until(() => trash.left.size === 0);
  await purger.close();
});

t.test('a place is met once, and scheduled as often as there is something', async (t) => {
  const trash = new FakeTrash();
  let opened = 0;
  const { purger } = purgerOf(trash, async () => {
    opened++;
    return Promise.resolve(trash);
  });
  purger.meet('place', undefined);
  purger.meet('place', undefined);
  await until(() => opened === 1);
  await sleep(20);
  purger.meet('place', undefined);
  await sleep(20);
  t.equal(opened, 1);
  purger.schedule('place', undefined);
  await until(() => opened === 2);
  await purger.close();
});

t.test('a cluster that does not answer is asked again, one that refuses is not', async (t) => {
  for (const [code, wanted] of [
    ['UNAVAILABLE', 3],
    ['PERMISSION_DENIED', 1],
  ] as const) {
    let opened = 0;
    const { purger, context } = purgerOf(new FakeTrash('a'), async () => {
      opened++;
      return Promise.reject(new DriverError(code, 'no'));
    });
    purger.schedule('place', undefined);
    await until(() => opened >= wanted);
    await sleep(30);
    if (wanted === 1) t.equal(opened, 1);
    t.ok(context.lines.length > 0, 'it is said in the log');
    await purger.close();
  }
});

t.test('beside requests only one entry is purged at a time', async (t) => {
  const trash = new FakeTrash('a', 'b', 'c', 'd');
  let running = 0;
  let most = 0;
  trash.answer = async (): Promise<PurgeOutcome> => {
    most = Math.max(most, ++running);
    await sleep(10);
    running--;
    return 'purged';
  };
  const { purger } = purgerOf(trash);
  const request = purger.beside(async () => sleep(200));
  purger.schedule('place', undefined);
  await request;
  t.equal(trash.left.size, 3);
  t.equal(most, 1);
  await until(() => trash.left.size === 0);
  for (const entry of ['e', 'f', 'g', 'h']) trash.left.add(entry);
  purger.schedule('place', undefined);
  await until(() => trash.left.size === 0);
  t.equal(most, 2, 'and two when it is quiet');
  await purger.close();
});

t.test('close waits for what is under way and begins nothing new', async (t) => {
  const trash = new FakeTrash('a', 'b', 'c', 'd', 'e');
  trash.answer = async (): Promise<PurgeOutcome> => {
    await sleep(30);
    return 'purged';
  };
  const { purger } = purgerOf(trash);
  purger.schedule('place', undefined);
  await until(() => trash.calls.some((call) => call.startsWith('purge')));
  await purger.close();
  t.equal(trash.calls.at(-1), 'unlock');
  t.ok(trash.left.size >= 2);
  purger.schedule('place', undefined);
  const calls = trash.calls.length;
  await sleep(20);
  t.equal(trash.calls.length, calls);
});
