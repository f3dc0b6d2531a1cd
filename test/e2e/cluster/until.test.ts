import t from 'tap';
import { Hopeless, until } from './until.js';

const { signal } = new AbortController();

t.test('asks until there is an answer, whatever is thrown meanwhile', async (t) => {
  let asked = 0;
  const ask = async (): Promise<number | undefined> => {
    asked += 1;
    if (asked === 1) throw new Error('not yet');
    return Promise.resolve(asked < 3 ? undefined : asked);
  };
  t.equal(await until('answer', ask, { withinMs: 20_000, signal }), 3);
});

t.test('ends when the time is up, with what it has waited for and the last reason', async (t) => {
  const ask = async (): Promise<undefined> => Promise.reject(new Error('still shut'));
  await t.rejects(until('open door', ask, { withinMs: 10, signal }), {
    message: 'after 0.01 s there is still no open door',
    cause: { message: 'still shut' },
  });
});

t.test('ends at once when waiting is of no use, or the run is interrupted', async (t) => {
  const hopeless = async (): Promise<undefined> => Promise.reject(new Hopeless('it has died'));
  await t.rejects(until('sign of life', hopeless, { withinMs: 60_000, signal }), { message: 'it has died' });
  const interrupted = AbortSignal.abort(new Error('interrupted'));
  const never = async (): Promise<undefined> => Promise.resolve(undefined);
  await t.rejects(until('end', never, { withinMs: 60_000, signal: interrupted }), { message: 'interrupted' });
});
