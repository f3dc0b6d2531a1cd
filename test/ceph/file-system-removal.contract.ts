import type { Test } from 'tap';
import type { CephFileSystem } from '../../src/ceph/client.js';
import { context, directory, failureOf } from './contract-subject.js';

export async function removal(t: Test, fs: CephFileSystem, other: CephFileSystem, base: string): Promise<void> {
  const path = `${base}/tree`;
  const plant = async () => {
    for (const name of ['a/b/c', 'a/d', 'e']) await fs.makeDirectories(context(), `${path}/${name}`, 0o755);
    await fs.lock(context(), `${path}/a/b/file`);
    await fs.unlock(context(), `${path}/a/b/file`);
  };

  await t.test('a tree is removed with all that is in it, and what is not there is fine', async (t) => {
    await plant();
    t.equal(await fs.removeTree(context(), path, { concurrency: 4 }), 7);
    t.match(await failureOf(other.status(context(), path)), { errno: 2 });
    t.equal(await fs.removeTree(context(), path, { concurrency: 4 }), 0);
    t.equal(await fs.removeTree(context(), `${base}/no/such/parent`, { concurrency: 1 }), 0);
  });

  await t.test('snapshots in the tree go with it', async (t) => {
    await plant();
    for (const place of [path, `${path}/a`, `${path}/a/b`]) {
      for (const name of ['one', 'snap 2']) await fs.makeDirectory(context(), `${place}/.snap/${name}`, directory());
    }
    t.equal(
      (await fs.list(context(), `${path}/a/b/.snap`)).length,
      6,
      'four of them are those of the directories above',
    );
    t.equal(await fs.removeTree(context(), path, { concurrency: 4 }), 7);
    t.match(await failureOf(other.status(context(), path)), { errno: 2 });
  });

  await t.test('one file is removed, and the mounted root is not', async (t) => {
    await fs.lock(context(), `${base}/alone`);
    await fs.unlock(context(), `${base}/alone`);
    t.equal(await fs.removeTree(context(), `${base}/alone`, { concurrency: 2 }), 1);
    t.match(await failureOf(fs.removeTree(context(), '/', { concurrency: 2 })), { code: 'INVALID_ARGUMENT' });
  });
}

export async function locks(t: Test, fs: CephFileSystem, other: CephFileSystem, base: string): Promise<void> {
  const path = `${base}/lock`;

  await t.test('one holds a lock at a time, in this client and in others', async (t) => {
    t.equal(await fs.lock(context(), path), true);
    t.equal(await fs.lock(context(), path), false);
    t.equal(await other.lock(context(), path), false);
    await other.unlock(context(), path);
    t.equal(await other.lock(context(), path), false, 'what one does not hold one does not free');
    await fs.unlock(context(), path);
    t.equal(await other.lock(context(), path), true);
    t.equal(await fs.lock(context(), path), false);
    await other.unlock(context(), path);
  });

  await t.test('of twenty who want it at once, one gets it', async (t) => {
    const taken = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => (i % 2 ? fs : other).lock(context(), path)),
    );
    t.equal(taken.filter(Boolean).length, 1);
    await (taken.indexOf(true) % 2 ? fs : other).unlock(context(), path);
  });

  await t.test('a lock in a directory that is missing is NOT_FOUND', async (t) => {
    t.match(await failureOf(fs.lock(context(), `${base}/missing/lock`)), { code: 'NOT_FOUND', errno: 2 });
  });
}
