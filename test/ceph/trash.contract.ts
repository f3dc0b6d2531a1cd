import type { Test } from 'tap';
import {
  context,
  type ContractSubject,
  countedNames,
  creation,
  eachConcurrently,
  failureOf,
  openPool,
} from './contract-subject.js';

export async function trashContract(t: Test, subject: ContractSubject): Promise<void> {
  const pool = await openPool(subject);
  const { images } = pool;

  await t.test('an empty trash lists nothing', async (t) => {
    t.same(await images.listTrash(context()), []);
  });

  await t.test('a trashed image is out of sight, keeps its metadata and is removed by id', async (t) => {
    await images.create(context(), 'Müll-🗑', creation());
    const id = await images.id(context(), 'Müll-🗑');
    await images.setMetadata(context(), id, new Map([['deleted', 'yes']]));
    await images.moveToTrash(context(), 'Müll-🗑');
    t.match(await failureOf(images.header(context(), 'Müll-🗑', [])), { code: 'NOT_FOUND' });
    t.same(await images.list(context(), '', 10), new Map());
    t.same(await images.listTrash(context()), [{ id, name: 'Müll-🗑' }]);
    t.equal((await images.headerById(context(), id, ['deleted'])).metadata.get('deleted'), 'yes');
    await images.removeFromTrash(context(), id);
    t.same(await images.listTrash(context()), []);
    t.match(await failureOf(images.removeFromTrash(context(), id)), { code: 'NOT_FOUND', errno: 2 });
    t.match(await failureOf(images.headerById(context(), id, [])), { code: 'NOT_FOUND', errno: 2 });
  });

  await t.test('the name of a trashed image is free again', async (t) => {
    await images.create(context(), 'again', creation());
    await images.moveToTrash(context(), 'again');
    await images.create(context(), 'again', creation());
    await images.moveToTrash(context(), 'again');
    const twins = await images.listTrash(context());
    t.same(
      twins.map(({ name }) => name),
      ['again', 'again'],
    );
    for (const { id } of twins) await images.removeFromTrash(context(), id);
  });

  await t.test('a trashed image that another client has open keeps its data until it is closed', async (t) => {
    await images.create(context(), 'open', creation());
    const id = await images.id(context(), 'open');
    const close = await subject.openElsewhere(pool.name, 'open');
    // Ceph takes an idle client's lock away and moves the image all the same.
    await images.moveToTrash(context(), 'open');
    t.match(await failureOf(images.removeFromTrash(context(), id)), {
      code: 'FAILED_PRECONDITION',
      errno: 16,
      message: /in use/,
    });
    t.equal((await images.headerById(context(), id, [])).sizeBytes, 1n << 30n);
    await close();
    await images.removeFromTrash(context(), id);
    t.same(await images.listTrash(context()), []);
  });

  await t.test('a trash of more images than one answer holds is listed whole', async (t) => {
    const names = countedNames('many-', 150);
    await eachConcurrently(names, 16, async (name) => {
      await images.create(context(), name, creation({ sizeBytes: 1n << 20n }));
      await images.moveToTrash(context(), name);
    });
    const many = (await images.listTrash(context())).filter(({ name }) => name.startsWith('many-'));
    t.same(many.map(({ name }) => name).toSorted(), names);
    t.equal(new Set(many.map(({ id }) => id)).size, 150);
    await eachConcurrently(many, 8, async ({ id }) => images.removeFromTrash(context(), id));
    t.notOk((await images.listTrash(context())).some(({ name }) => name.startsWith('many-')));
  });
}
