import t from 'tap';
import { ConnectionPool } from '../../src/ceph/connection-pool.js';
import { Secret } from '../../src/platform/secret.js';
import { startCluster } from '../harness/cluster.js';
import { context, countedNames, directory, eachConcurrently, failureOf, silentLog } from './contract-subject.js';
import { adminAccess } from './real-subject.js';

t.setTimeout(120_000);

const timeouts = { connectMs: 2_000, monMs: 2_000, osdMs: 2_000 };
const quota = new Map([['ceph.quota.max_bytes', '1000000']]);

t.test('users who may not do everything', async (t) => {
  const cluster = await startCluster();
  t.teardown(async () => cluster.stop());
  const client = new ConnectionPool({ log: silentLog });
  t.teardown(async () => client.close());
  const asAdmin = await client.connect(context(), adminAccess(cluster, timeouts));
  const admin = await asAdmin.fileSystem(context(), 'cephfs', ['/']);
  await admin.makeDirectories(context(), '/volumes/csi', 0o755);
  await admin.makeDirectories(context(), '/volumes/other', 0o755);
  const mon = 'allow r';
  const osd = 'allow rw tag cephfs data=cephfs';
  const connectAs = async (user: string, caps: Record<string, string>) => {
    const key = new Secret(await cluster.createUser(user, caps));
    return client.connect(context(), { clusterId: 'test', monitors: cluster.monHost, user, key, timeouts });
  };

  await t.test('a key that is restricted to a path mounts that path, and works there', async (t) => {
    const connection = await connectAs('path', { mon, osd, mds: 'allow rwps path=/volumes/csi' });
    const fs = await connection.fileSystem(context(), 'cephfs', ['/', '/volumes', '/volumes/csi']);
    t.equal(fs.root, '/volumes/csi');
    await fs.makeDirectories(context(), '/volumes/csi', 0o755);
    await fs.makeDirectory(context(), '/volumes/csi/a', directory({ uid: 1, gid: 2, attributes: quota }));
    await fs.rename(context(), '/volumes/csi/a', '/volumes/csi/b');
    t.match(await admin.status(context(), '/volumes/csi/b'), { uid: 1, gid: 2 });
    t.same(await fs.list(context(), '/volumes/csi'), [{ name: 'b', isDirectory: true }]);
    t.equal(await fs.removeTree(context(), '/volumes/csi/b', { concurrency: 2 }), 1);
    for (const work of [
      fs.status(context(), '/volumes/other'),
      fs.rename(context(), '/volumes/csi/a', '/volumes/other/a'),
      fs.makeDirectories(context(), '/volumes/csi-2/x', 0o755),
    ]) {
      t.match(await failureOf(work), { code: 'PERMISSION_DENIED', message: /outside of \/volumes\/csi/ });
    }
    const failure = await failureOf(connection.fileSystem(context(), 'cephfs', ['/', '/volumes/other']));
    t.match(failure, { code: 'PERMISSION_DENIED', message: /client\.path.*mds 'allow rwps path=/ });
  });

  await t.test('a key without `p` may not set quotas, and the message says what is missing', async (t) => {
    const connection = await connectAs('no-p', { mon, osd, mds: 'allow rw path=/volumes/csi' });
    const fs = await connection.fileSystem(context(), 'cephfs', ['/', '/volumes/csi']);
    const making = fs.makeDirectory(context(), '/volumes/csi/no-p', directory({ attributes: quota }));
    const failure = await failureOf(making);
    t.match(failure, {
      code: 'PERMISSION_DENIED',
      message: /client\.no-p.*allow rwps path=.*p sets quotas and layouts/,
    });
  });

  const refused: [string, Record<string, string>, string, RegExp][] = [
    ['without mds capabilities', { mon, osd }, 'PERMISSION_DENIED', /client\.\S+ may not.*a CephFS user needs/],
    ['of an RBD user', { mon: 'profile rbd', osd: 'profile rbd' }, 'PERMISSION_DENIED', /a CephFS user needs/],
    [
      'for another file system',
      { mon: 'allow r fsname=other', osd, mds: 'allow rw fsname=other' },
      'NOT_FOUND',
      /mon capability is for another file system|does not exist/,
    ],
  ];
  for (const [i, [what, caps, code, message]] of refused.entries()) {
    await t.test(`a key ${what} is refused at once, with the reason`, async (t) => {
      const connection = await connectAs(`refused-${i}`, caps);
      const began = performance.now();
      t.match(await failureOf(connection.fileSystem(context(), 'cephfs', ['/'])), { code, message });
      t.ok(performance.now() - began < 1_000);
    });
  }

  await t.test('a quota that is reached is RESOURCE_EXHAUSTED', async (t) => {
    const attributes = new Map([['ceph.quota.max_files', '3']]);
    await admin.makeDirectory(context(), '/volumes/csi/full', directory({ attributes }));
    const names = countedNames('/volumes/csi/full/', 5); // the directory counts, too
    const failure = await failureOf(
      eachConcurrently(names, 1, async (name) => admin.makeDirectory(context(), name, directory())),
    );
    t.match(failure, { code: 'RESOURCE_EXHAUSTED', message: /quota on a directory above/ });
  });
});
