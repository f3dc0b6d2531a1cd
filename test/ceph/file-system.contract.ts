import type { Test } from 'tap';
import type { CephClient, CephFileSystem } from '../../src/ceph/client.js';
import {
  context,
  type ContractSubject,
  countedNames,
  directory,
  eachConcurrently,
  failureOf,
} from './contract-subject.js';
import { locks, removal } from './file-system-removal.contract.js';

const quota = 'ceph.quota.max_bytes';
const own = 'trusted.cuttle.volume';

async function mounted(subject: ContractSubject, client: CephClient = subject.client): Promise<CephFileSystem> {
  const connection = await client.connect(context(), subject.access);
  return connection.fileSystem(context(), subject.fileSystem, ['/']);
}

export async function fileSystemContract(t: Test, subject: ContractSubject): Promise<void> {
  const fs = await mounted(subject);
  const other = await mounted(subject, subject.anotherClient());
  const base = `/contract-${process.pid}`;
  await fs.makeDirectories(context(), base, 0o755);
  await t.test('mounting', async (t) => mounting(t, subject));
  await t.test('directories', async (t) => directories(t, fs, other, base));
  await t.test('attributes', async (t) => attributes(t, fs, other, base));
  await t.test('lists and names', async (t) => listsAndNames(t, fs, base));
  await t.test('removal', async (t) => removal(t, fs, other, base));
  await t.test('locks', async (t) => locks(t, fs, other, base));
  await fs.removeTree(context(), base, { concurrency: 8 });
  t.match(await failureOf(fs.status(context(), base)), { code: 'NOT_FOUND' });
}

async function mounting(t: Test, subject: ContractSubject): Promise<void> {
  const connection = await subject.client.connect(context(), subject.access);
  const name = subject.fileSystem;

  await t.test('the file systems come with their data pools', async (t) => {
    const found = (await connection.fileSystems(context())).find((fileSystem) => fileSystem.name === name);
    t.ok((found?.dataPools.length ?? 0) > 0);
  });

  await t.test('one that is missing is NOT_FOUND, and the message names those that are there', async (t) => {
    const failure = await failureOf(connection.fileSystem(context(), 'missing', ['/']));
    t.match(failure, { code: 'NOT_FOUND', errno: 2 });
    t.match(failure.message, /"missing" does not exist in cluster "test", which has .*"/);
    t.ok(failure.message.includes(`"${name}"`), failure.message);
  });

  await t.test('roots are tried in their order, and NOT_FOUND when none is there', async (t) => {
    t.match(await connection.fileSystem(context(), name, ['/missing', '/']), { name, root: '/' });
    const failure = await failureOf(connection.fileSystem(context(), name, ['/missing', '/missing-too']));
    t.match(failure, { code: 'NOT_FOUND', errno: 2, message: /mount \/missing-too of file system/ });
  });

  await t.test('many who ask at once get the same mount', async (t) => {
    const roots = ['/', '/asked-at-once'];
    const asked = Array.from({ length: 20 }, async () => connection.fileSystem(context(), name, roots));
    const [first, ...others] = await Promise.all(asked);
    t.ok(others.every((fileSystem) => fileSystem === first));
    t.equal(await connection.fileSystem(context(), name, roots), first, 'and later ones too');
  });
}

async function directories(t: Test, fs: CephFileSystem, other: CephFileSystem, base: string): Promise<void> {
  const at = (name: string) => `${base}/${name}`;

  await t.test('a directory is made with mode, owner and attributes, and everybody sees them', async (t) => {
    const attributes = new Map([
      [quota, '1073741824'],
      [own, '{"name":"pvc-1"}'],
    ]);
    await fs.makeDirectory(context(), at('made'), directory({ mode: 0o2770, uid: 1000, gid: 2000, attributes }));
    for (const client of [fs, other]) {
      t.match(await client.status(context(), at('made')), { isDirectory: true, mode: 0o2770, uid: 1000, gid: 2000 });
      t.same(await client.attributes(context(), at('made'), [quota, own]), attributes);
    }
  });

  await t.test('of twenty who make the same directory, one does', async (t) => {
    const made = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, i) =>
        (i % 2 ? fs : other).makeDirectory(context(), at('race'), directory()),
      ),
    );
    t.equal(made.filter(({ status }) => status === 'fulfilled').length, 1);
    const failure = await failureOf(fs.makeDirectory(context(), at('race'), directory({ uid: 1, gid: 1 })));
    t.match(failure, { code: 'ALREADY_EXISTS', errno: 17, message: new RegExp(at('race')) });
  });

  await t.test('without a parent it is NOT_FOUND, with or without an owner', async (t) => {
    for (const owner of [{}, { uid: 1, gid: 1 }]) {
      const failure = await failureOf(fs.makeDirectory(context(), at('no/such'), directory(owner)));
      t.match(failure, { code: 'NOT_FOUND', errno: 2 });
    }
  });

  await t.test('directories on the way are made, and those that are there are fine', async (t) => {
    for (let i = 0; i < 2; i++) await fs.makeDirectories(context(), at('way/to/it'), 0o700);
    await fs.makeDirectories(context(), '/', 0o755);
    t.match(await other.status(context(), at('way/to/it')), { isDirectory: true, mode: 0o700 });
  });

  await t.test('of twenty who make directories on one way, all find them made', async (t) => {
    await eachConcurrently(
      Array.from({ length: 20 }, (_, i) => i),
      20,
      async (i) => fs.makeDirectories(context(), `${base}/way/to/all/${i % 3 === 0 ? 'a' : `b/${i}`}`, 0o755),
    );
    t.equal((await fs.list(context(), `${base}/way/to/all`)).length, 2);
    await fs.makeDirectories(context(), `${base}/way/to`, 0o755);
  });

  await t.test(
    'setting several attributes does not wait for the journal of the MDS, in which nothing else comes',
    async (t) => {
      const several = new Map([
        [own, 'a record'],
        [quota, '1000000'],
        ['ceph.dir.layout.pool_namespace', 'a'],
        ['ceph.quota.max_files', '10'],
      ]);
      const beginMs = performance.now();
      for (let i = 0; i < 8; i++)
        await fs.makeDirectory(context(), at(`several-${i}`), directory({ attributes: several }));
      t.ok(performance.now() - beginMs < 4_000, `${performance.now() - beginMs} ms`);
    },
  );

  await t.test('owner and mode can be changed, and another client sees it at once', async (t) => {
    await fs.makeDirectory(context(), at('owned'), directory({ attributes: new Map([[quota, '1000000']]) }));
    await fs.setOwner(context(), at('owned'), 7, 8);
    await fs.setMode(context(), at('owned'), 0o1711);
    t.match(await other.status(context(), at('owned')), { isDirectory: true, mode: 0o1711, uid: 7, gid: 8 });
    t.match(await failureOf(fs.setOwner(context(), at('missing'), 1, 1)), { errno: 2 });
    t.match(await failureOf(fs.setMode(context(), at('missing'), 0o700)), { errno: 2 });
  });

  await t.test('a directory that is nobody else’s business can be worked in all the same', async (t) => {
    await fs.makeDirectory(context(), at('private'), directory({ mode: 0, uid: 4242, gid: 4242 }));
    await fs.makeDirectory(context(), at('private/inside'), directory({ uid: 1, gid: 1 }));
    t.same(await other.list(context(), at('private')), [{ name: 'inside', isDirectory: true }]);
  });

  await t.test('what was renamed is at its new place alone', async (t) => {
    await fs.makeDirectory(context(), at('from'), directory({ attributes: new Map([[quota, '1000000']]) }));
    await fs.makeDirectories(context(), at('hidden/full'), 0o755);
    await fs.rename(context(), at('from'), at('hidden/to'));
    t.match(await failureOf(other.status(context(), at('from'))), { errno: 2 });
    t.same(await other.attributes(context(), at('hidden/to'), [quota]), new Map([[quota, '1000000']]));
    t.match(await failureOf(fs.rename(context(), at('from'), at('x'))), { code: 'NOT_FOUND', errno: 2 });
    const onto = await failureOf(fs.rename(context(), at('hidden/to'), at('hidden')));
    t.match(onto, { code: 'FAILED_PRECONDITION', errno: 39 });
  });

  await t.test('paths that are no plain absolute ones are refused', async (t) => {
    for (const path of ['relative', `${base}/../x`, `${base}/./x`, `${base}/a\0b`]) {
      t.match(await failureOf(fs.status(context(), path)), { code: 'INVALID_ARGUMENT' }, JSON.stringify(path));
    }
  });
}

async function attributes(t: Test, fs: CephFileSystem, other: CephFileSystem, base: string): Promise<void> {
  const path = `${base}/attributes`;
  await fs.makeDirectory(context(), path, directory());
  const read = async (...names: string[]) => Object.fromEntries(await fs.attributes(context(), path, names));

  await t.test('those that are not set are left out', async (t) => {
    t.same(await read(own, 'ceph.dir.layout.pool', 'user.x', 'ceph.nonsense'), {});
    t.same(await read(), {});
    t.equal((await read('ceph.dir.rbytes'))['ceph.dir.rbytes'], '0');
    t.match(await failureOf(fs.attributes(context(), `${base}/missing`, [own])), { code: 'NOT_FOUND', errno: 2 });
  });

  await t.test('any text comes back as it was: Unicode, empty, long', async (t) => {
    for (const value of ['Größe 大 🦑', '', 'ä'.repeat(10_000), 'one\ntwo\0three']) {
      t.equal(await fs.setAttribute(context(), path, own, value), true);
      t.equal((await read(own))[own], value, `${value.length} characters`);
    }
  });

  await t.test('one that another client has changed is seen at once', async (t) => {
    for (const [name, ...values] of [
      [quota, '4194304', '8388608', '12582912'],
      [own, 'a', 'b', 'c'],
    ] as const) {
      for (const value of values) {
        await other.setAttribute(context(), path, name, value);
        t.equal((await read(name))[name], value);
      }
    }
  });

  await t.test('of twenty who set one only if it is absent, one does', async (t) => {
    const name = 'trusted.cuttle.race';
    const set = await Promise.all(
      countedNames('w', 20).map(async (value, i) =>
        (i % 2 ? fs : other).setAttribute(context(), path, name, value, true),
      ),
    );
    t.equal(set.filter(Boolean).length, 1);
    t.equal((await read(name))[name], countedNames('w', 20)[set.indexOf(true)]);
  });

  await t.test('removed ones are gone, and one that is not there is fine', async (t) => {
    await fs.setAttribute(context(), path, own, 'x');
    for (let i = 0; i < 2; i++) await fs.removeAttribute(context(), path, own);
    t.same(await read(own), {});
    await fs.setAttribute(context(), path, quota, '4194304');
    for (let i = 0; i < 2; i++) await fs.removeAttribute(context(), path, quota);
    t.ok(['0', undefined].includes((await read(quota))[quota]), 'no quota');
    t.match(await failureOf(fs.removeAttribute(context(), `${base}/missing`, own)), { errno: 2 });
  });

  await t.test('a layout’s pool and namespace are set and read; values that are none are refused', async (t) => {
    await fs.setAttribute(context(), path, 'ceph.dir.layout.pool_namespace', 'ns-1');
    t.match(await read('ceph.dir.layout.pool_namespace'), { 'ceph.dir.layout.pool_namespace': 'ns-1' });
    for (const name of [quota, 'ceph.dir.layout.pool']) {
      const failure = await failureOf(fs.setAttribute(context(), path, name, 'no-such'));
      t.match(failure, { code: 'INVALID_ARGUMENT', errno: 22, message: /data pool of file system/ }, name);
    }
  });
}

async function listsAndNames(t: Test, fs: CephFileSystem, base: string): Promise<void> {
  await t.test('a list has every entry once, whatever its length', async (t) => {
    for (const [dir, count] of [
      ['none', 0],
      ['many', 1500],
    ] as const) {
      const path = `${base}/${dir}`;
      await fs.makeDirectory(context(), path, directory());
      const names = countedNames('entry ä-', count);
      await eachConcurrently(names, 16, async (name) => fs.makeDirectory(context(), `${path}/${name}`, directory()));
      const listed = await fs.list(context(), path);
      t.same(listed.map(({ name }) => name).toSorted(), names);
      t.ok(listed.every(({ isDirectory }) => isDirectory));
    }
  });

  await t.test('a list of what is missing or no directory is an error', async (t) => {
    t.match(await failureOf(fs.list(context(), `${base}/missing`)), { code: 'NOT_FOUND', errno: 2 });
    await fs.lock(context(), `${base}/file`);
    t.match(await failureOf(fs.list(context(), `${base}/file`)), { code: 'FAILED_PRECONDITION', errno: 20 });
    t.match(await fs.status(context(), `${base}/file`), { isDirectory: false, mode: 0o600, uid: 0, gid: 0 });
    await fs.unlock(context(), `${base}/file`);
  });
}
