import type { Test } from 'tap';
import { context, type ContractSubject, countedNames, openPool } from './contract-subject.js';

export async function omapContract(t: Test, subject: ContractSubject): Promise<void> {
  const { omap } = await openPool(subject);
  const all = async (object: string) => Object.fromEntries(await omap.list(context(), object, '', 1000));
  const pairs = (values: Record<string, string>) => new Map(Object.entries(values));

  await t.test('an object that is not there has no keys', async (t) => {
    t.same(await omap.get(context(), 'missing', ['a', 'b']), new Map());
    t.same(await omap.list(context(), 'missing', '', 10), new Map());
  });

  await t.test('what was written is read by key, and keys that are not there are left out', async (t) => {
    t.equal(await omap.update(context(), 'o1', { set: pairs({ a: '1', b: '2', c: '3' }) }), true);
    t.same(Object.fromEntries(await omap.get(context(), 'o1', ['a', 'c', 'x'])), { a: '1', c: '3' });
    t.same(await omap.get(context(), 'o1', []), new Map());
  });

  await t.test('any text comes back as it was: Unicode, empty, long, with a zero inside', async (t) => {
    const values = {
      'Schlüssel 鍵 🐙': 'Größe 大 🦑',
      empty: '',
      long: 'ä'.repeat(50_000),
      zero: 'a\0b',
      lines: 'one\ntwo\r\n',
    };
    t.equal(await omap.update(context(), 'texts', { set: pairs(values) }), true);
    t.same(Object.fromEntries(await omap.get(context(), 'texts', Object.keys(values))), values);
    t.same(await all('texts'), values);
  });

  await t.test('pages come in key order, each after the key that the last one ended with', async (t) => {
    const keys = countedNames('k', 250);
    await omap.update(context(), 'pages', { set: new Map(keys.map((key) => [key, `v${key}`])) });
    const seen: string[] = [];
    for (let after = ''; ;) {
      const page = [...(await omap.list(context(), 'pages', after, 100)).keys()];
      if (page.length === 0) break;
      t.ok(page.length <= 100);
      seen.push(...page);
      after = page.at(-1) ?? '';
    }
    t.same(seen, keys);
  });

  await t.test('expecting that a key is absent makes the first writer the only one', async (t) => {
    for (const object of ['race-new-object', 'pages']) {
      const writers = countedNames('writer', 20);
      const won = await Promise.all(
        writers.map(async (writer) =>
          omap.update(context(), object, { expect: pairs({ owner: '' }), set: pairs({ owner: writer }) }),
        ),
      );
      t.equal(won.filter(Boolean).length, 1, object);
      t.equal((await omap.get(context(), object, ['owner'])).get('owner'), writers[won.indexOf(true)]);
    }
  });

  await t.test('expecting a value writes when it is equal and changes nothing when it differs', async (t) => {
    await omap.update(context(), 'cas', { set: pairs({ state: 'a', keep: 'x' }) });
    const swap = async (from: string, to: string) =>
      omap.update(context(), 'cas', { expect: pairs({ state: from }), set: pairs({ state: to }) });
    t.equal(await swap('b', 'c'), false);
    t.equal((await all('cas')).state, 'a');
    t.equal(await swap('a', 'b'), true);
    t.equal((await all('cas')).state, 'b');
    t.equal(await swap('', 'd'), false, 'it is not absent');
    t.equal(await swap('bb', 'd'), false);
  });

  await t.test('a compound change happens as a whole or not at all', async (t) => {
    await omap.update(context(), 'whole', { set: pairs({ a: '1', b: '2' }) });
    const change = { set: pairs({ c: '3' }), remove: ['a'] };
    t.equal(await omap.update(context(), 'whole', { ...change, expect: pairs({ a: '1', b: 'x' }) }), false);
    t.same(await all('whole'), { a: '1', b: '2' });
    t.equal(await omap.update(context(), 'whole', { ...change, expect: pairs({ a: '1', b: '2', z: '' }) }), true);
    t.same(await all('whole'), { b: '2', c: '3' });
    t.equal(await omap.update(context(), 'whole', { set: pairs({ b: 'new' }), remove: ['b'] }), true);
    t.same(await all('whole'), { b: 'new', c: '3' }, 'removing comes before setting');
  });

  await t.test('a missing object takes a compound change as well', async (t) => {
    t.equal(await omap.update(context(), 'm1', { set: pairs({ a: '1' }), remove: ['b'] }), true);
    t.same(await all('m1'), { a: '1' });
    t.equal(await omap.update(context(), 'm2', { expect: pairs({ x: '' }), set: pairs({ a: '1' }) }), true);
    t.same(await all('m2'), { a: '1' });
    t.equal(await omap.update(context(), 'm3', { expect: pairs({ x: 'y' }), set: pairs({ a: '1' }) }), false);
    t.same(await all('m3'), {});
    t.equal(await omap.update(context(), 'm4', { remove: ['a'] }), true);
    t.equal(await omap.update(context(), 'm4', { expect: pairs({ x: '' }), remove: ['a'] }), true);
    t.equal(await omap.update(context(), 'm4', { expect: pairs({ x: 'y' }), remove: ['a'] }), false);
    t.equal(await omap.update(context(), 'm4', {}), true, 'nothing to do');
  });

  await t.test('removing a key that is not there is fine', async (t) => {
    await omap.update(context(), 'rm', { set: pairs({ a: '1' }) });
    t.equal(await omap.update(context(), 'rm', { remove: ['a', 'zzz'] }), true);
    t.same(await all('rm'), {});
  });
}
