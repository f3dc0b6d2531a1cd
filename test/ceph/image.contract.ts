import type { Test } from 'tap';
import { context, type ContractSubject, creation, eachConcurrently, failureOf, openPool } from './contract-subject.js';

export async function imageContract(t: Test, subject: ContractSubject): Promise<void> {
  const pool = await openPool(subject);
  const { images } = pool;

  await t.test('of many that create one name exactly one succeeds', async (t) => {
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, async () =>
        images.create(context(), 'once', creation()).then(
          () => 'created',
          (error: unknown) => failureOf(Promise.reject(error as Error)).then(({ code }) => code),
        ),
      ),
    );
    t.equal(outcomes.filter((outcome) => outcome === 'created').length, 1);
    t.equal(outcomes.filter((outcome) => outcome === 'ALREADY_EXISTS').length, 11);
    t.match(await failureOf(images.create(context(), 'once', creation())), {
      code: 'ALREADY_EXISTS',
      message: new RegExp(`${pool.name}/once`),
    });
  });

  await t.test('an image is found by name and by id, with its exact size and features', async (t) => {
    // 2^53 + 1 is no double.
    const sizes = [0n, 1n, 511n, 1n << 32n, (1n << 53n) - 1n, 1n << 53n, (1n << 53n) + 1n];
    for (const sizeBytes of sizes) {
      const name = `size-${sizeBytes}`;
      await images.create(context(), name, creation({ sizeBytes, features: 1n }));
      const byName = await images.header(context(), name, []);
      t.equal(byName.sizeBytes, sizeBytes);
      t.equal(byName.features, 1n);
      t.equal(byName.id, await images.id(context(), name));
      t.same(await images.headerById(context(), byName.id, []), byName);
    }
  });

  await t.test('features are those that were asked for', async (t) => {
    for (const features of [1n, 5n, 29n, 61n]) {
      await images.create(context(), `features-${features}`, creation({ features }));
      t.equal((await images.header(context(), `features-${features}`, [])).features, features);
    }
    const objectMapAlone = creation({ features: 8n });
    t.match(await failureOf(images.create(context(), 'features-bad', objectMapAlone)), { code: 'INVALID_ARGUMENT' });
    t.match(await failureOf(images.header(context(), 'features-bad', [])), { code: 'NOT_FOUND' });
  });

  await t.test('metadata that a create brings is there with the image', async (t) => {
    const metadata = { key: 'record', value: 'größer '.repeat(200) };
    for (const options of [{}, { features: 1n }, { order: 24 }, { stripeUnitBytes: 65536n, stripeCount: 4n }]) {
      const name = `record-${JSON.stringify(Object.keys(options))}`;
      t.ok(await images.create(context(), name, creation({ ...options, metadata })));
      t.equal((await images.header(context(), name, ['record'])).metadata.get('record'), metadata.value);
    }
  });

  await t.test('a create that was cut off is completed, once, as the request says', async (t) => {
    const metadata = { key: 'record', value: 'the second one' };
    for (const [name, options] of Object.entries({
      plain: {},
      'by-the-library': { stripeUnitBytes: 4096n, stripeCount: 2n },
    })) {
      await images.create(context(), `cut-${name}`, creation({ sizeBytes: 1n << 20n, features: 1n }));
      const id = await images.id(context(), `cut-${name}`);
      await subject.removeObject(pool.name, `rbd_header.${id}`);
      t.match(await failureOf(images.header(context(), `cut-${name}`, [])), { code: 'NOT_FOUND' });
      const outcomes = await Promise.allSettled(
        Array.from({ length: name === 'plain' ? 4 : 1 }, async () =>
          images.complete(context(), `cut-${name}`, creation({ ...options, metadata })),
        ),
      );
      t.equal(outcomes.filter((one) => one.status === 'fulfilled' && one.value).length, 1);
      const header = await images.header(context(), `cut-${name}`, ['record']);
      t.equal(header.sizeBytes, 1n << 30n);
      t.equal(header.metadata.get('record'), metadata.value);
    }
    t.match(await failureOf(images.complete(context(), 'never-begun', creation())), { code: 'NOT_FOUND' });
    t.match(await failureOf(images.id(context(), 'never-begun')), { code: 'NOT_FOUND' });
  });

  await t.test('what a create that was cut off has left can be taken away', async (t) => {
    await images.create(context(), 'half-made', creation());
    await subject.removeObject(pool.name, `rbd_header.${await images.id(context(), 'half-made')}`);
    await images.removeUnfinished(context(), 'half-made');
    await images.removeUnfinished(context(), 'half-made');
    t.notOk((await images.list(context(), '', 1000)).has('half-made'));
    await images.create(context(), 'half-made', creation());
  });

  await t.test('the layout is the one that was asked for, or the default', async (t) => {
    await images.create(context(), 'plain', creation());
    t.same(await images.layout(context(), 'plain'), {
      order: 22,
      stripeUnitBytes: 1n << 22n,
      stripeCount: 1n,
      dataPool: undefined,
    });
    const dataPool = await subject.createPool();
    const striped = { order: 23, stripeUnitBytes: 65536n, stripeCount: 8n, dataPool };
    await images.create(context(), 'striped', creation(striped));
    t.same(await images.layout(context(), 'striped'), striped);
  });

  await t.test('a data pool that is not there is NOT_FOUND and named, and leaves no image', async (t) => {
    const failure = await failureOf(images.create(context(), 'no-data', creation({ dataPool: 'no-such-pool' })));
    t.match(failure, { code: 'NOT_FOUND', message: /no-such-pool/ });
    t.match(await failureOf(images.id(context(), 'no-data')), { code: 'NOT_FOUND' });
  });

  await t.test('a missing image is ENOENT for every call', async (t) => {
    const calls = {
      id: async () => images.id(context(), 'missing'),
      header: async () => images.header(context(), 'missing', ['a']),
      headerById: async () => images.headerById(context(), 'ffffffffffff', ['a']),
      layout: async () => images.layout(context(), 'missing'),
      setMetadata: async () => images.setMetadata(context(), 'ffffffffffff', new Map([['a', 'b']])),
      grow: async () => images.grow(context(), 'missing', 1n),
      rename: async () => images.rename(context(), 'missing', 'other'),
      remove: async () => images.remove(context(), 'missing'),
      watchers: async () => images.watchers(context(), 'missing'),
      moveToTrash: async () => images.moveToTrash(context(), 'missing'),
      removeFromTrash: async () => images.removeFromTrash(context(), 'ffffffffffff'),
    };
    for (const [name, call] of Object.entries(calls)) {
      t.match(await failureOf(call()), { code: 'NOT_FOUND', errno: 2, message: /missing|ffffffffffff/ }, name);
    }
    const made = await failureOf(images.headerById(context(), 'ffffffffffff', []));
    t.equal(made.code, 'NOT_FOUND', 'writing metadata brought no header into being');
  });

  await t.test('an image whose header has gone is ENOENT although its name is taken', async (t) => {
    await images.create(context(), 'half', creation());
    const id = await images.id(context(), 'half');
    await subject.removeObject(pool.name, `rbd_header.${id}`);
    t.equal(await images.id(context(), 'half'), id);
    t.match(await failureOf(images.header(context(), 'half', ['a'])), { code: 'NOT_FOUND', errno: 2 });
  });

  await t.test('an image grows and never shrinks', async (t) => {
    await images.create(context(), 'grown', creation());
    const sizeBytes = async () => (await images.header(context(), 'grown', [])).sizeBytes;
    for (const wanted of [3n << 30n, (1n << 42n) + 512n]) {
      t.equal(await images.grow(context(), 'grown', wanted), wanted);
      t.equal(await sizeBytes(), wanted);
    }
    t.equal(await images.grow(context(), 'grown', 1n << 20n), (1n << 42n) + 512n);
    t.equal(await sizeBytes(), (1n << 42n) + 512n);
  });

  await t.test('a renamed image keeps its id; a name that is taken is refused', async (t) => {
    await images.create(context(), 'before', creation());
    await images.create(context(), 'taken', creation());
    const id = await images.id(context(), 'before');
    t.match(await failureOf(images.rename(context(), 'before', 'taken')), { code: 'ALREADY_EXISTS', errno: 17 });
    await images.rename(context(), 'before', 'after');
    t.equal(await images.id(context(), 'after'), id);
    t.match(await failureOf(images.id(context(), 'before')), { code: 'NOT_FOUND' });
  });

  await t.test('names may be Unicode', async (t) => {
    const name = 'Größe-鍵-🐙';
    await images.create(context(), name, creation());
    const header = await images.header(context(), name, []);
    t.equal((await images.list(context(), '', 1000)).get(name), header.id);
    await images.rename(context(), name, `${name}!`);
    await images.remove(context(), `${name}!`);
    t.notOk((await images.list(context(), '', 1000)).has(`${name}!`));
  });

  await t.test('an image that another client has open shows that watcher and is not removed', async (t) => {
    await images.create(context(), 'open', creation());
    t.same(await images.watchers(context(), 'open'), []);
    const close = await subject.openElsewhere(pool.name, 'open');
    const watchers = await images.watchers(context(), 'open');
    t.equal(watchers.length, 1);
    t.match(watchers[0]?.address, /^\d+\.\d+\.\d+\.\d+:0\/\d+$/);
    t.match(await failureOf(images.remove(context(), 'open')), { code: 'FAILED_PRECONDITION', errno: 16 });
    t.equal((await images.header(context(), 'open', [])).sizeBytes, 1n << 30n);
    await close();
    t.same(await images.watchers(context(), 'open'), []);
    await images.remove(context(), 'open');
    t.match(await failureOf(images.id(context(), 'open')), { code: 'NOT_FOUND' });
  });

  await t.test('nothing that read or changed an image keeps it open', async (t) => {
    await images.create(context(), 'touched', creation());
    const touches = [
      async () => images.layout(context(), 'touched'),
      async () => images.watchers(context(), 'touched'),
      async () => images.grow(context(), 'touched', 1n << 31n),
    ];
    await eachConcurrently([...touches, ...touches, ...touches], 8, async (touch) => touch());
    t.same(await images.watchers(context(), 'touched'), []);
  });
}
