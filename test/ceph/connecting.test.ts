import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { CephAccess } from '../../src/ceph/client.js';
import { ConnectionPool } from '../../src/ceph/connection-pool.js';
import { Secret } from '../../src/platform/secret.js';
import { type TestCluster, useCluster } from '../harness/cluster.js';
import { context, creation, failureOf, silentLog } from './contract-subject.js';
import { testTimeouts } from './real-subject.js';

t.setTimeout(180_000);

const wrongKey = 'AQAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAA==';
const user = `connecting-${process.pid}`;
const caps = { mon: 'profile rbd', osd: 'profile rbd' };

t.test('connecting to a real cluster', async (t) => {
  const cluster = await useCluster();
  t.teardown(async () => cluster.stop());
  const userKey = await cluster.createUser(user, caps);
  t.teardown(async () => cluster.removeUser(user));
  await waysIn(t, cluster, userKey);
  await refusals(t, cluster, userKey);
  await sharing(t, cluster, userKey);
  await blocklisting(t, cluster);
});

function openClient(t: Test, idleMs?: number): ConnectionPool {
  const client = new ConnectionPool({ log: silentLog, ...(idleMs === undefined ? {} : { idleMs }) });
  t.teardown(async () => client.close());
  return client;
}

async function waysIn(t: Test, cluster: TestCluster, userKey: string): Promise<void> {
  const ports = [...cluster.monHost.matchAll(/v([12]):([^,\]]+)/g)].map(([, version, address]) => ({
    version,
    address,
  }));
  const at = (version: string) => ports.find((port) => port.version === version)?.address ?? '';
  const keyring = join(t.testdir(), 'keyring');
  await writeFile(keyring, `[client.${user}]\n\tkey = ${userKey}\n`, { mode: 0o600 });
  const key = new Secret(userKey);
  const ways: Record<string, Partial<CephAccess>> = {
    'a ceph.conf and a key': { cephConf: cluster.confPath, user, key },
    'a ceph.conf and the keyring it names': { cephConf: cluster.confPath, user: 'admin' },
    'a ceph.conf and a keyring of our own': { cephConf: cluster.confPath, user, keyring },
    'monitors in both protocols': { monitors: cluster.monHost, user, key },
    'a monitor with v2 alone': { monitors: `v2:${at('2')}`, user, key },
    'a monitor with v1 alone': { monitors: `v1:${at('1')}`, user, key },
    'a monitor without a protocol': { monitors: at('1'), user, key },
    'monitors of which the first is down': { monitors: `127.0.0.1:1,${cluster.monHost}`, user, keyring },
  };
  for (const [way, access] of Object.entries(ways)) {
    await t.test(`it connects with ${way}`, async (t) => {
      const client = openClient(t);
      const connection = await client.connect(context(), {
        clusterId: 'test',
        user,
        timeouts: testTimeouts,
        ...access,
      });
      t.equal(await connection.fsid(context()), cluster.fsid);
      t.equal(connection.keyring === '', access.key !== undefined, 'a keyring is named when it was used');
      if (access.keyring !== undefined) t.equal(connection.keyring, keyring);
    });
  }
}

async function refusals(t: Test, cluster: TestCluster, userKey: string): Promise<void> {
  const conf = { cephConf: cluster.confPath };
  const key = new Secret(userKey);
  const wrong = new Secret(wrongKey);
  const cases: [string, Partial<CephAccess>, string, RegExp][] = [
    ['a wrong key', { ...conf, user, key: wrong }, 'UNAUTHENTICATED', /client\.connecting.*key is wrong/],
    ['an unknown user', { ...conf, user: 'stranger', key }, 'UNAUTHENTICATED', /client\.stranger/],
    ['an empty key', { ...conf, user: 'admin', key: new Secret('') }, 'UNAUTHENTICATED', /client\.admin.*is empty/],
    ['a key that is none', { ...conf, user, key: new Secret('secret') }, 'UNAUTHENTICATED', /is not base64/],
    ['no key in the keyring', { ...conf, user: 'stranger' }, 'UNAUTHENTICATED', /no usable key for client\.stranger/],
    ['a missing keyring', { ...conf, user: 'admin', keyring: '/no/such' }, 'UNAUTHENTICATED', /\/no\/such/],
    ['a missing ceph.conf', { cephConf: '/no/ceph.conf', user, key }, 'FAILED_PRECONDITION', /\/no\/ceph\.conf/],
    ['no monitors', { user, key }, 'INVALID_ARGUMENT', /no monitors/],
    ['monitors that do not resolve', { monitors: 'mon.invalid', user, key }, 'UNAVAILABLE', /"mon\.invalid"/],
  ];
  for (const [what, access, code, sentence] of cases) {
    await t.test(`${what} is ${code}, says so and does not say the key`, async (t) => {
      const client = openClient(t);
      const connecting = client.connect(context(), {
        clusterId: 'far-away',
        user,
        timeouts: testTimeouts,
        ...access,
      });
      const failure = await failureOf(connecting);
      t.equal(failure.code, code);
      t.match(failure.message, sentence);
      t.match(failure.message, /"far-away"/);
      for (const secret of [userKey, wrongKey, 'secret']) t.notOk(failure.message.includes(`"${secret}"`));
      t.notOk(failure.message.includes(userKey) || failure.message.includes(wrongKey));
    });
  }
}

async function sharing(t: Test, cluster: TestCluster, userKey: string): Promise<void> {
  const access = { clusterId: 'test', cephConf: cluster.confPath, timeouts: testTimeouts };
  const asUser = { ...access, user, key: new Secret(userKey) };
  const asAdmin = { ...access, user: 'admin', key: new Secret(cluster.adminKey) };

  await t.test('another user or key is another connection', async (t) => {
    const client = openClient(t);
    const first = await client.connect(context(), asUser);
    t.equal(await client.connect(context(), { ...asUser, key: new Secret(userKey) }), first);
    t.not(await client.connect(context(), asAdmin), first);
    t.match(await failureOf(client.connect(context(), { ...asUser, key: new Secret(wrongKey) })), {
      code: 'UNAUTHENTICATED',
    });
    t.equal(await client.connect(context(), asUser), first, 'the good one stays');
  });

  await t.test('a refusal is not remembered: the right key works at once', async (t) => {
    const client = openClient(t);
    const name = `late-${process.pid}`;
    const early = { ...access, user: name };
    t.match(await failureOf(client.connect(context(), { ...early, key: new Secret(wrongKey) })), {
      code: 'UNAUTHENTICATED',
    });
    const key = new Secret(await cluster.createUser(name, caps));
    t.ok(await client.connect(context(), { ...early, key }));
    await cluster.removeUser(name);
  });

  await t.test('an idle connection is closed, one in use is not, and a closed one says so', async (t) => {
    const client = openClient(t, 400);
    const idle = await client.connect(context(), asUser);
    const used = await client.connect(context(), asAdmin);
    const pool = await used.pool(context(), cluster.rbdPool, '');
    for (let i = 0; i < 20; i++) {
      await pool.omap.get(context(), 'nothing', ['a']);
      await sleep(100);
    }
    t.match(await failureOf(idle.monCommand(context(), { prefix: 'fsid' })), {
      code: 'UNAVAILABLE',
      message: /closed, repeat/,
    });
    t.not(await client.connect(context(), asUser), idle);
  });

  await t.test('closing the client waits for calls under way and refuses later ones', async (t) => {
    const client = openClient(t);
    const connection = await client.connect(context(), asAdmin);
    const pool = await connection.pool(context(), cluster.rbdPool, '');
    const names = Array.from({ length: 40 }, (_, i) => `closing-${process.pid}-${i}`);
    const creating = names.map(async (name) => pool.images.create(context(), name, creation()));
    await Promise.all([client.close(), client.close(), Promise.allSettled(creating)]);
    t.match(await failureOf(pool.images.list(context(), '', 1)), { code: 'UNAVAILABLE' });
    const again = await (await openClient(t).connect(context(), asAdmin)).pool(context(), cluster.rbdPool, '');
    for (const name of names) await again.images.remove(context(), name).catch(() => undefined);
  });
}

async function blocklisting(t: Test, cluster: TestCluster): Promise<void> {
  await t.test('a client on the blocklist is told so once and gets a new connection', async (t) => {
    const client = openClient(t);
    const key = new Secret(cluster.adminKey);
    const access = { clusterId: 'test', cephConf: cluster.confPath, user: 'admin', key, timeouts: testTimeouts };
    const connection = await client.connect(context(), access);
    const pool = await connection.pool(context(), cluster.rbdPool, '');
    await cluster.ceph(['osd', 'blocklist', 'add', connection.address, '60']);
    const failures = await Promise.all(
      Array.from({ length: 8 }, async () =>
        failureOf(pool.omap.update(context(), 'o', { set: new Map([['a', '1']]) })),
      ),
    );
    for (const failure of failures) t.match(failure, { code: 'UNAVAILABLE', message: /blocklist.*repeat/ });
    const made = await Promise.all(Array.from({ length: 8 }, async () => client.connect(context(), access)));
    t.equal(new Set(made).size, 1);
    t.not(made[0], connection);
    const next = await made[0]?.pool(context(), cluster.rbdPool, '');
    t.equal(await next?.omap.update(context(), 'blocklist-test', { set: new Map([['a', '1']]) }), true);
    await cluster.ceph(['osd', 'blocklist', 'rm', connection.address]);
  });
}
