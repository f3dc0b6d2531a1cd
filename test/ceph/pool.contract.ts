import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { eventually } from '../harness/eventually.js';
import { context, type ContractSubject, creation, failureOf, openPool } from './contract-subject.js';

export async function poolContract(t: Test, subject: ContractSubject): Promise<void> {
  const { client, access } = subject;

  await t.test('a connection knows its cluster, its user and its own address', async (t) => {
    const connection = await client.connect(context(), access);
    t.equal(connection.clusterId, access.clusterId);
    t.equal(connection.user, access.user);
    t.match(connection.address, /\d+$/);
    t.not(connection.monitors, '');
    t.equal(await connection.fsid(context()), subject.fsid);
  });

  await t.test('the same identity shares one connection, also when asked for at the same time', async (t) => {
    const made = await Promise.all(Array.from({ length: 20 }, async () => client.connect(context(), access)));
    t.equal(new Set(made).size, 1);
  });

  await t.test('a monitor command gives its output or the errno of the monitor', async (t) => {
    const connection = await client.connect(context(), access);
    const pools = JSON.parse(
      await connection.monCommand(context(), { prefix: 'osd pool ls', format: 'json' }),
    ) as unknown;
    t.ok(Array.isArray(pools));
    const unknown = await failureOf(connection.monCommand(context(), { prefix: 'no such command' }));
    t.match(unknown, { code: 'INVALID_ARGUMENT', message: /no such command/ });
    const missing = { prefix: 'osd pool get', pool: 'not-there', var: 'size' };
    t.match(await failureOf(connection.monCommand(context(), missing)), { code: 'NOT_FOUND' });
  });

  await t.test('a new pool is found by its application and has room', async (t) => {
    const pool = await subject.createPool();
    const connection = await client.connect(context(), access);
    t.ok((await connection.poolsOfApplication(context(), 'rbd')).includes(pool));
    t.notOk((await connection.poolsOfApplication(context(), 'no-such-application')).includes(pool));
    const availableBytes = async () =>
      (await connection.poolCapacities(context())).find(({ name }) => name === pool)?.availableBytes ?? 0n;
    // The manager has its figures a moment after there is the pool.
    t.ok(await eventually(async () => (await availableBytes()) > 1n << 20n, 20_000));
  });

  await t.test('a pool that is not there is NOT_FOUND and named', async (t) => {
    const connection = await client.connect(context(), access);
    const failure = await failureOf(connection.pool(context(), 'no-such-pool', ''));
    t.match(failure, { code: 'NOT_FOUND', message: /"no-such-pool".*ceph osd pool create/ });
    const name = await subject.createPool();
    t.equal((await connection.pool(context(), name, '')).name, name, 'one made since is found at once');
  });

  await t.test('a pool that was deleted is NOT_FOUND, and found again when it is made anew', async (t) => {
    const pool = await openPool(subject);
    const connection = await client.connect(context(), access);
    await pool.images.create(context(), 'old', creation());
    await pool.omap.update(context(), 'notes', { set: new Map([['a', 'old']]) });
    await subject.deletePool(pool.name);
    const gone = await failureOf(pool.images.header(context(), 'old', []));
    t.match(gone, { code: 'NOT_FOUND', message: new RegExp(`pool "${pool.name}" does not exist`) });
    t.match(await failureOf(connection.pool(context(), pool.name, '')), { code: 'NOT_FOUND' });
    await subject.createPoolAgain(pool.name);
    const again = await connection.pool(context(), pool.name, '');
    t.match(await failureOf(again.images.header(context(), 'old', [])), { code: 'NOT_FOUND' });
    await again.images.create(context(), 'new', creation());
    t.equal((await again.images.header(context(), 'new', [])).sizeBytes, 1n << 30n);
  });

  await t.test('a pool made anew under the same name is never mistaken for the old one', async (t) => {
    const calls: Record<string, (pool: Awaited<ReturnType<typeof openPool>>) => Promise<unknown>> = {
      'an image': async (pool) => pool.images.header(context(), 'image', []),
      'an object map': async (pool) => pool.omap.get(context(), 'notes', ['a']),
      'a list': async (pool) => pool.images.list(context(), '', 10),
      'a write': async (pool) => pool.omap.update(context(), 'notes', { set: new Map([['a', 'lost']]) }),
      'a lock': async (pool) => pool.lock(context(), 'lock', 'l', 'cookie', 10_000),
    };
    for (const [what, call] of Object.entries(calls)) {
      const pool = await openPool(subject);
      await pool.images.create(context(), 'image', creation());
      await subject.deletePool(pool.name);
      await subject.createPoolAgain(pool.name);
      const connection = await client.connect(context(), access);
      t.match(await failureOf(call(pool)), { code: 'UNAVAILABLE', message: /made again.*repeat/ }, what);
      await connection.pool(context(), pool.name, '').then(async (again) => call(again).catch(() => undefined));
    }
  });

  await t.test('namespaces of one pool know nothing of each other', async (t) => {
    const outer = await openPool(subject);
    await subject.createNamespace(outer.name, 'tenant');
    const connection = await client.connect(context(), access);
    const inner = await connection.pool(context(), outer.name, 'tenant');
    t.equal(inner.namespace, 'tenant');
    await outer.images.create(context(), 'same', creation({ sizeBytes: 1n << 20n }));
    await inner.images.create(context(), 'same', creation({ sizeBytes: 1n << 21n }));
    t.equal((await outer.images.header(context(), 'same', [])).sizeBytes, 1n << 20n);
    t.equal((await inner.images.header(context(), 'same', [])).sizeBytes, 1n << 21n);
    await outer.omap.update(context(), 'notes', { set: new Map([['k', 'outer']]) });
    t.same(await inner.omap.get(context(), 'notes', ['k']), new Map());
    const missing = await connection.pool(context(), outer.name, 'no-such-namespace');
    const failure = await failureOf(missing.images.create(context(), 'x', creation()));
    t.match(failure, { code: 'NOT_FOUND', message: /no-such-namespace/ });
  });

  await t.test('a lock is taken, refused to another, renewed by its holder and given up', async (t) => {
    const pool = await openPool(subject);
    t.equal(await pool.lock(context(), 'object', 'purge', 'one', 60_000), true);
    t.equal(await pool.lock(context(), 'object', 'purge', 'two', 60_000), false);
    t.equal(await pool.lock(context(), 'object', 'purge', 'one', 60_000), true, 'renewed');
    t.equal(await pool.lock(context(), 'object', 'other', 'two', 60_000), true, 'another name is another lock');
    await pool.unlock(context(), 'object', 'purge', 'two');
    t.equal(await pool.lock(context(), 'object', 'purge', 'two', 60_000), false, 'only its holder gives it up');
    await pool.unlock(context(), 'object', 'purge', 'one');
    t.equal(await pool.lock(context(), 'object', 'purge', 'two', 60_000), true);
    await pool.unlock(context(), 'not-there', 'purge', 'one');
  });

  await t.test('a lock whose holder has vanished expires, a renewed one does not', async (t) => {
    const pool = await openPool(subject);
    t.equal(await pool.lock(context(), 'object', 'l', 'crashed', 1_000), true);
    t.equal(await pool.lock(context(), 'object', 'renewed', 'alive', 1_000), true);
    t.equal(await pool.lock(context(), 'object', 'renewed', 'alive', 60_000), true);
    await sleep(2_100);
    t.equal(await pool.lock(context(), 'object', 'l', 'next', 1_000), true);
    t.equal(await pool.lock(context(), 'object', 'renewed', 'next', 1_000), false);
  });
}
