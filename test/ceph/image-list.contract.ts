import type { Test } from 'tap';
import type { RbdImages } from '../../src/ceph/client.js';
import {
  context,
  type ContractSubject,
  countedNames,
  creation,
  eachConcurrently,
  openPool,
} from './contract-subject.js';

async function readPages(images: RbdImages, max: number, between?: () => Promise<void>): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for (let after = ''; ;) {
    const page = await images.list(context(), after, max);
    if (page.size > max) throw new Error(`a page of ${max} has ${page.size} images`);
    if (page.size === 0) return all;
    for (const [name, id] of page) {
      if (all.has(name)) throw new Error(`${name} comes twice`);
      all.set(name, id);
      after = name;
    }
    await between?.();
  }
}

export async function imageListContract(t: Test, subject: ContractSubject): Promise<void> {
  await t.test('an empty pool lists nothing', async (t) => {
    const { images } = await openPool(subject);
    t.same(await images.list(context(), '', 100), new Map());
  });

  await t.test('pages of 520 images come whole and in name order', async (t) => {
    const { images } = await openPool(subject);
    const names = countedNames('img-', 520);
    await eachConcurrently(names.toReversed(), 16, async (name) => images.create(context(), name, creation()));
    for (const max of [1, 63, 64, 65, 500, 10_000]) {
      if (max === 1) t.equal([...(await images.list(context(), '', 1)).keys()].join(), names[0]);
      else t.same([...(await readPages(images, max)).keys()], names, `pages of ${max}`);
    }
    const all = await images.list(context(), 'img-00099', 3);
    t.same([...all.keys()], ['img-00100', 'img-00101', 'img-00102']);
    t.equal(all.get('img-00100'), await images.id(context(), 'img-00100'));
    t.same(await images.list(context(), 'img-00519', 10), new Map());
    t.equal([...(await images.list(context(), 'img-00099x', 1)).keys()][0], 'img-00100', 'after a name long gone');
  });

  await t.test('images that come and go between pages upset neither order nor the others', async (t) => {
    const { images } = await openPool(subject);
    const names = countedNames('img-', 200);
    await eachConcurrently(names, 16, async (name) => images.create(context(), name, creation()));
    let step = 0;
    const seen = await readPages(images, 20, async () => {
      step += 1;
      if (step > 8) return;
      await images.create(context(), `img-00000-late-${step}`, creation());
      await images.moveToTrash(context(), `img-${String(step * 20 - 1).padStart(5, '0')}`);
      await images.create(context(), `img-00199-late-${step}`, creation());
    });
    const kept = [...seen.keys()].filter((name) => !name.includes('late'));
    t.same(kept, names, 'each that was there all the time, once');
    t.same([...seen.keys()], [...seen.keys()].toSorted());
  });

  await t.test('a list stays readable when names are very long', async (t) => {
    const { images } = await openPool(subject);
    const names = countedNames('n', 12).map((name) => name + 'x'.repeat(900));
    for (const name of names) await images.create(context(), name, creation());
    t.same([...(await readPages(images, 5)).keys()], names);
    t.equal((await images.list(context(), '', 100)).size, 12);
  });

  await t.test('many images are read at once, in the order of their ids, those that are gone left empty', async (t) => {
    const { images } = await openPool(subject);
    const names = countedNames('img-', 100);
    await eachConcurrently(names, 16, async (name) => {
      const metadata = { key: 'name', value: name, beside: new Map([['long', name.repeat(1_000)]]) };
      await images.create(context(), name, creation({ metadata }));
    });
    const ids = [...(await images.list(context(), '', 1_000)).values()];
    const asked = [...ids.slice(0, 50), 'ffffffffffff', ...ids.slice(50)];
    const found = await images.summaries(context(), asked, ['name', 'missing']);
    t.same(
      found.map((one) => one?.id),
      [...ids.slice(0, 50), undefined, ...ids.slice(50)],
    );
    t.same(
      found.flatMap((one) => (one === undefined ? [] : [one.metadata.get('name')])),
      names,
    );
    t.ok(found.every((one) => one === undefined || one.sizeBytes === 1n << 30n));
    const [first] = await images.summaries(context(), ids.slice(0, 1), ['long', 'name']);
    t.equal(first?.metadata.get('long'), 'img-00000'.repeat(1_000), 'a value that has no room in the first answer');
    t.same(await images.summaries(context(), [], ['name']), []);
  });
}
