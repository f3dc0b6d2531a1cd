import type { Test } from 'tap';
import type { CephPool } from '../../src/ceph/client.js';
import { context, type ContractSubject, creation, defaultFeatures, failureOf, openPool } from './contract-subject.js';

const withoutDeepFlatten = defaultFeatures & ~32n;
const never = new AbortController().signal;

/** Parents of clones, and flattening. */
export async function chainContract(t: Test, subject: ContractSubject): Promise<void> {
  const pool = await openPool(subject);

  await t.test('an image that is no clone has no parent, and one that is not there is an error', async (t) => {
    const id = await image(pool, 'alone');
    t.equal(await pool.snapshots.parent(context(), id), undefined);
    const plain = await image(pool, 'without layering', 0n);
    t.equal(await pool.snapshots.parent(context(), plain), undefined);
    t.match(await failureOf(pool.snapshots.parent(context(), 'nothing')), { code: 'NOT_FOUND', errno: 2 });
    const { code, errno } = await failureOf(flatten(pool, id));
    t.same([code, errno], ['INVALID_ARGUMENT', 22], 'it can not be flattened');
  });

  await subject.createNamespace(pool.name, 'inner');
  const connection = await subject.client.connect(context(), subject.access);
  const inner = await connection.pool(context(), pool.name, 'inner');
  // Together, because the snapshots then share the monitors' rounds.
  const [child, flat, half, stopped, growing] = await Promise.all([
    clone(pool, inner, 'child'),
    clone(pool, pool, 'flat'),
    clone(pool, pool, 'half', withoutDeepFlatten),
    clone(pool, pool, 'stopped'),
    clone(pool, pool, 'growing'),
  ]);
  const [ofChild, ofFlat, older] = await Promise.all([
    snap(inner, child.id, 'deeper'),
    snap(pool, flat.id, 'of the clone'),
    snap(pool, half.id, 'older'),
  ]);

  await t.test('a clone and a snapshot of it name the parent, in another namespace too', async (t) => {
    t.same(await inner.snapshots.parent(context(), child.id), child.parent);
    t.same(await inner.snapshots.parent(context(), child.id, ofChild), child.parent);
    await inner.snapshots.clone(context(), child.id, 'deeper', pool, 'grandchild', { features: defaultFeatures });
    const grandchildId = await pool.images.id(context(), 'grandchild');
    const expected = { pool: pool.name, namespace: 'inner', imageId: child.id, snapshotId: ofChild };
    t.same(await pool.snapshots.parent(context(), grandchildId), expected);
  });

  await t.test('flattening tells its progress, takes the snapshots along, and goes on under requests', async (t) => {
    const seen = new Map<number, number>();
    const flattened = pool.snapshots.flatten(context(), flat.id, {
      stop: never,
      onProgress: (done, total) => seen.set(done, total),
    });
    await Promise.all(Array.from({ length: 20 }, async () => pool.images.header(context(), 'flat', [])));
    await flattened;
    t.ok(seen.size >= 250, `${seen.size} calls`);
    t.same(new Set(seen.values()), new Set([256]));
    t.equal(await pool.snapshots.parent(context(), flat.id), undefined);
    t.equal(await pool.snapshots.parent(context(), flat.id, ofFlat), undefined);
    t.notOk(await pool.images.isWatched(context(), flat.id));
  });

  await t.test('without deep-flatten an older snapshot still reads from the parent', async (t) => {
    await flatten(pool, half.id);
    t.equal(await pool.snapshots.parent(context(), half.id), undefined);
    t.same(await pool.snapshots.parent(context(), half.id, older), half.parent);
    const newer = await snap(pool, half.id, 'newer');
    t.equal(await pool.snapshots.parent(context(), half.id, newer), undefined);
  });

  await t.test('a flattening that is stopped closes the image, and can be gone on with', async (t) => {
    const stop = new AbortController();
    const flattened = pool.snapshots.flatten(context(), stopped.id, {
      stop: stop.signal,
      onProgress: (done) => {
        if (done >= 20) stop.abort();
      },
    });
    t.equal((await failureOf(flattened)).errno, 125, 'ECANCELED');
    t.notOk(await pool.images.isWatched(context(), stopped.id));
    t.same(await pool.snapshots.parent(context(), stopped.id), stopped.parent);
    await flatten(pool, stopped.id);
    t.equal(await pool.snapshots.parent(context(), stopped.id), undefined);
  });

  await t.test('an image grows while it is flattened', async (t) => {
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const flattened = pool.snapshots.flatten(context(), growing.id, {
      stop: never,
      onProgress: () => {
        begin();
      },
    });
    await begun;
    await pool.images.grow(context(), 'growing', 2n << 30n);
    await flattened;
    t.equal((await pool.images.header(context(), 'growing', [])).sizeBytes, 2n << 30n);
    t.equal(await pool.snapshots.parent(context(), growing.id), undefined);
  });
}

/** A clone of an image of its own in `from`, which has been given one snapshot. */
async function clone(from: CephPool, into: CephPool, name: string, features = defaultFeatures) {
  const parentId = await image(from, `${name}-parent`);
  const snapshotId = await snap(from, parentId, 'one');
  await from.snapshots.clone(context(), parentId, 'one', into, name, { features });
  const parent = { pool: from.name, namespace: from.namespace, imageId: parentId, snapshotId };
  return { id: await into.images.id(context(), name), parent };
}

async function image(pool: CephPool, name: string, features = defaultFeatures): Promise<string> {
  await pool.images.create(context(), name, creation({ features }));
  return pool.images.id(context(), name);
}

async function snap(pool: CephPool, imageId: string, name: string): Promise<bigint> {
  await pool.snapshots.create(context(), imageId, name);
  return (await pool.snapshots.list(context(), imageId)).find((one) => one.name === name)?.id ?? 0n;
}

async function flatten(pool: CephPool, imageId: string): Promise<void> {
  await pool.snapshots.flatten(context(), imageId, { stop: never, onProgress: () => undefined });
}
