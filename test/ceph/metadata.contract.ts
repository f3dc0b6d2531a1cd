import type { Test } from 'tap';
import { context, type ContractSubject, countedNames, creation, openPool } from './contract-subject.js';

export async function metadataContract(t: Test, subject: ContractSubject): Promise<void> {
  const { images } = await openPool(subject);
  let count = 0;
  const newImage = async () => {
    const name = `image-${count++}`;
    await images.create(context(), name, creation());
    return images.id(context(), name);
  };
  const read = async (id: string, ...keys: string[]) =>
    Object.fromEntries((await images.headerById(context(), id, keys)).metadata);
  const write = async (id: string, values: Record<string, string | null>, onlyIfAbsent?: string) =>
    images.setMetadata(
      context(),
      id,
      new Map(Object.entries(values)),
      ...(onlyIfAbsent === undefined ? [] : [{ key: onlyIfAbsent, value: '' }]),
    );

  await t.test('what was set is read with the header, keys that are not set are left out', async (t) => {
    const id = await newImage();
    t.same(await read(id, 'a'), {});
    t.equal(await write(id, { a: '1', b: '2' }), true);
    t.same(await read(id, 'a', 'missing', 'b'), { a: '1', b: '2' });
    t.same(await read(id), {});
    t.equal(await write(id, { a: 'new' }), true);
    t.same(await read(id, 'a', 'b'), { a: 'new', b: '2' });
  });

  await t.test('many keys come in one answer', async (t) => {
    const id = await newImage();
    const values = Object.fromEntries(countedNames('.csi/key-', 60).map((key) => [key, `value of ${key}`]));
    await write(id, values);
    t.same(await read(id, ...Object.keys(values)), values);
  });

  await t.test('any text comes back as it was: Unicode, empty, with a zero inside, of any length', async (t) => {
    const id = await newImage();
    const texts = { 'Schlüssel-鍵': 'Größe 大 🦑', empty: '', zero: 'a\0b' };
    const sizes = [507, 508, 509, 8_000, 16_380, 16_381, 60_000];
    const values: Record<string, string> = {
      ...texts,
      ...Object.fromEntries(sizes.map((n) => [`x${n}`, 'x'.repeat(n)])),
    };
    await write(id, values);
    t.same(await read(id, ...Object.keys(values)), values);
    for (const [key, value] of Object.entries(values)) t.same(await read(id, key, 'missing'), { [key]: value });
  });

  await t.test('onlyIfAbsent writes once and then changes nothing', async (t) => {
    const id = await newImage();
    t.equal(await write(id, { owner: 'first', note: '1' }, 'owner'), true);
    t.equal(await write(id, { owner: 'second', note: '2', more: '3' }, 'owner'), false);
    t.same(await read(id, 'owner', 'note', 'more'), { owner: 'first', note: '1' });
    t.equal(await write(id, { note: '2' }, 'other'), true, 'another key is absent');
  });

  await t.test('of many writers that want an absent key exactly one wins', async (t) => {
    for (let round = 0; round < 5; round++) {
      const id = await newImage();
      const writers = countedNames('writer-', 24);
      const won = await Promise.all(writers.map(async (owner) => write(id, { owner, same: owner }, 'owner')));
      t.equal(won.filter(Boolean).length, 1);
      const winner = writers[won.indexOf(true)];
      t.same(await read(id, 'owner', 'same'), { owner: winner, same: winner });
    }
  });

  await t.test(
    'null removes a key in the operation that sets others, or in none when the expectation fails',
    async (t) => {
      const id = await newImage();
      await write(id, { a: '1', b: '2', c: '3' });
      t.equal(await write(id, { a: null, missing: null, b: 'new' }), true);
      t.same(await read(id, 'a', 'b', 'c'), { b: 'new', c: '3' });
      t.equal(await write(id, { b: null, d: '4' }, 'c'), false);
      t.same(await read(id, 'b', 'c', 'd'), { b: 'new', c: '3' });
      t.equal(await write(id, { b: null, c: null }), true);
      t.same(await read(id, 'b', 'c'), {});
    },
  );

  await t.test('what is set beside the first key of a new image is there with it', async (t) => {
    const metadata = { key: 'owner', value: 'me', beside: new Map([['conf_rbd_qos_iops_limit', '7']]) };
    for (const [name, more] of [
      ['plain', {}],
      ['striped', { stripeUnitBytes: 65_536n, stripeCount: 4n }],
    ] as const) {
      await images.create(context(), name, creation({ metadata, ...more }));
      const id = await images.id(context(), name);
      t.same(await read(id, 'owner', 'conf_rbd_qos_iops_limit'), { owner: 'me', conf_rbd_qos_iops_limit: '7' }, name);
    }
  });

  await t.test('a removed key is gone, removing it again is fine', async (t) => {
    const id = await newImage();
    await write(id, { a: '1', b: '2' });
    await images.removeMetadata(context(), id, 'a');
    await images.removeMetadata(context(), id, 'a');
    await images.removeMetadata(context(), 'ffffffffffff', 'a');
    t.same(await read(id, 'a', 'b'), { b: '2' });
    t.equal(await write(id, { a: 'again' }, 'a'), true);
  });
}
