import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import type { CephClient, CephFileSystem } from '../../src/ceph/client.js';
import { ConnectionPool } from '../../src/ceph/connection-pool.js';
import { Secret } from '../../src/platform/secret.js';
import { clusterScript, startCluster, type TestCluster } from '../harness/cluster.js';
import { stopProcess } from '../harness/stop-process.js';
import {
  context,
  countedNames,
  creation,
  directory,
  eachConcurrently,
  failureOf,
  silentLog,
} from './contract-subject.js';
import { adminAccess } from './real-subject.js';

t.setTimeout(300_000);

const timeouts = { connectMs: 2_000, monMs: 2_000, osdMs: 2_000 };
const slackMs = 1_500;
const quota = new Map([['ceph.quota.max_bytes', '1000000']]);

t.test('when the MDS is not well', async (t) => {
  const cluster = await startCluster();
  t.teardown(async () => cluster.stop());
  const client = new ConnectionPool({ log: silentLog });
  t.teardown(async () => client.close());
  await silentMds(t, cluster, client);
  await restartedMds(t, cluster, client);
  await eviction(t, cluster, client);
  await killedClient(t, cluster);
});

async function mount(client: CephClient, cluster: TestCluster, clusterId = 'test'): Promise<CephFileSystem> {
  const connection = await client.connect(context(), { ...adminAccess(cluster, timeouts), clusterId });
  return connection.fileSystem(context(), 'cephfs', ['/']);
}

async function unavailableWithin(t: Test, ms: number, work: Promise<unknown>, message = /"cephfs".*ceph fs status/) {
  const began = performance.now();
  const failure = await failureOf(work);
  const tookMs = performance.now() - began;
  t.match(failure, { code: 'UNAVAILABLE', message });
  t.ok(tookMs < ms + slackMs, `answered in ${tookMs.toFixed(0)} ms of ${ms}`);
}

async function whileStopped(cluster: TestCluster, work: () => Promise<unknown>): Promise<void> {
  const pid = await cluster.pidOf('mds');
  const goOn = () => process.kill(pid, 'SIGCONT');
  process.once('exit', goOn);
  await stopProcess(pid);
  try {
    // Its threads stop one after the other.
    while (!/^State:\s+T/m.test(await readFile(`/proc/${pid}/status`, 'utf8'))) await sleep(5);
    await sleep(50);
    await work();
  } finally {
    goOn();
    process.off('exit', goOn);
  }
}

async function silentMds(t: Test, cluster: TestCluster, client: ConnectionPool): Promise<void> {
  const fs = await mount(client, cluster);
  const connection = await client.connect(context(), adminAccess(cluster, timeouts));
  const pool = await connection.pool(context(), 'rbd', '');
  await fs.makeDirectories(context(), '/silent/tree/a', 0o755);
  await fs.makeDirectory(context(), '/silent/one', directory({ attributes: quota }));
  const creates = async (prefix: string) => {
    const began = performance.now();
    await eachConcurrently(countedNames(prefix, 60), 8, async (name) =>
      pool.images.create(context(), name, creation()),
    );
    return performance.now() - began;
  };

  await t.test('an MDS that is stopped makes every call UNAVAILABLE in time, and nothing else', async (t) => {
    const beforeMs = await creates('before-');
    await whileStopped(cluster, async () => {
      const calls: Record<string, (ms?: number) => Promise<unknown>> = {
        make: async (ms) => fs.makeDirectory(context(ms), '/silent/new', directory({ attributes: quota })),
        owned: async (ms) => fs.makeDirectory(context(ms), '/silent/owned', directory({ uid: 1, gid: 1 })),
        set: async (ms) => fs.setAttribute(context(ms), '/silent/one', 'trusted.x', 'y'),
        rename: async (ms) => fs.rename(context(ms), '/silent/one', '/silent/two'),
        lock: async (ms) => fs.lock(context(ms), '/silent/lock'),
        remove: async (ms) => fs.removeTree(context(ms), '/silent/tree', { concurrency: 4 }),
        mount: async (ms) => connection.fileSystem(context(ms), 'cephfs', ['/silent']),
      };
      await Promise.all(
        Object.values(calls).flatMap((call) => [
          unavailableWithin(t, timeouts.osdMs * 1.5, call()),
          unavailableWithin(t, 300, call(300)),
        ]),
      );
      await unavailableWithin(t, timeouts.osdMs * 1.5, calls.set?.() ?? Promise.resolve());
      const burst = Array.from({ length: 60 }, async (_, i) =>
        unavailableWithin(t, timeouts.osdMs * 2, fs.makeDirectory(context(), `/silent/burst-${i}`, directory())),
      );
      await sleep(200);
      const duringMs = await creates('during-');
      t.ok(duringMs < beforeMs * 3 + 300, `60 images in ${duringMs.toFixed(0)} ms, ${beforeMs.toFixed(0)} before`);
      await Promise.all(burst);
    });
    await onceAnswered(async () => connection.fileSystem(context(), 'cephfs', ['/silent']));
    await onceAnswered(async () => fs.makeDirectories(context(), '/silent/after', 0o755));
    t.ok(await mount(client, cluster, 'another'), 'another connection mounts');
    t.equal(await mount(client, cluster), fs, 'the mount has outlived it');
    const whole = await onceAnswered(async () => fs.removeTree(context(), '/silent', { concurrency: 8 }));
    t.ok(whole > 0, 'work that was cut off is finished by the next one');
  });
}

async function restartedMds(t: Test, cluster: TestCluster, client: ConnectionPool): Promise<void> {
  await t.test('an MDS that dies is missed by name, and its successor takes over', async (t) => {
    const fs = await mount(client, cluster);
    await fs.makeDirectories(context(), '/restarted', 0o755);
    t.equal(await fs.lock(context(), '/restarted/lock'), true);
    process.kill(await cluster.pidOf('mds'), 'SIGKILL');
    await unavailableWithin(t, timeouts.osdMs * 1.5, fs.makeDirectories(context(), '/restarted/a', 0o755));
    await cluster.ceph(['mds', 'fail', 'a']);
    await unavailableWithin(t, 500, mount(client, cluster, 'meanwhile'), /no active MDS \(.*ceph fs status cephfs/);
    await execa(clusterScript(), ['start', '--dir', cluster.confPath.replace(/\/ceph\.conf$/, '')]);
    await onceAnswered(async () => fs.makeDirectories(context(), '/restarted/b', 0o755));
    t.equal(await mount(client, cluster), fs);
    const other = await mount(client, cluster, 'other-client');
    t.equal(await other.lock(context(), '/restarted/lock'), false, 'the lock has outlived it too');
    await fs.unlock(context(), '/restarted/lock');
    t.equal(await other.lock(context(), '/restarted/lock'), true);
    await other.unlock(context(), '/restarted/lock');
  });
}

async function eviction(t: Test, cluster: TestCluster, client: ConnectionPool): Promise<void> {
  await t.test('a client that was evicted is told to repeat, and mounts anew', async (t) => {
    const fs = await mount(client, cluster);
    const other = await mount(client, cluster, 'other-client');
    await fs.makeDirectories(context(), '/evicted', 0o755);
    t.equal(await fs.lock(context(), '/evicted/lock'), true);
    await evictAll(cluster);
    const failure = await failureOf(fs.makeDirectory(context(), '/evicted/a', directory()));
    t.match(failure, { code: 'UNAVAILABLE', message: /evicted.*repeat the request/ });
    t.match(await failureOf(fs.status(context(), '/evicted')), { code: 'UNAVAILABLE' });
    t.match(await failureOf(fs.list(context(), '/evicted')), { code: 'UNAVAILABLE' });
    t.match(await failureOf(fs.removeTree(context(), '/evicted', { concurrency: 2 })), { code: 'UNAVAILABLE' });
    t.match(await failureOf(other.setAttribute(context(), '/evicted', 'trusted.x', 'y')), { code: 'UNAVAILABLE' });

    const fresh = await mount(client, cluster);
    t.not(fresh, fs);
    await fresh.makeDirectory(context(), '/evicted/a', directory({ attributes: quota }));
    t.equal(await fresh.lock(context(), '/evicted/lock'), true, 'the lock was given up');
    const opened = await Promise.all(Array.from({ length: 5 }, async () => mount(client, cluster)));
    t.ok(
      opened.every((again) => again === fresh),
      'it is mounted once',
    );
    const pool = await (await client.connect(context(), adminAccess(cluster, timeouts))).pool(context(), 'rbd', '');
    t.ok(await pool.images.create(context(), 'after-eviction', creation()), 'RBD is not concerned');
  });
}

async function killedClient(t: Test, cluster: TestCluster): Promise<void> {
  await t.test('the successor of a process that was killed ends its session, and waits for nothing', async (t) => {
    const user = 'killed';
    const caps = { mon: 'allow r', mds: 'allow rwps path=/killed', osd: 'allow rw tag cephfs data=cephfs' };
    const key = new Secret(await cluster.createUser(user, caps));
    const admin = new ConnectionPool({ log: silentLog });
    await (await mount(admin, cluster)).makeDirectories(context(), '/killed', 0o755);
    await admin.close();
    const program = new URL('cephfs-victim.js', import.meta.url).pathname;
    const victim = spawn(process.execPath, [program], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
    });
    victim.stdin.end(JSON.stringify({ monitors: cluster.monHost, user, key: key.reveal(), sessionName: 'driver-1' }));
    const [line] = (await once(victim.stdout, 'data')) as [Buffer];
    t.equal(line.toString().trim(), 'made');
    victim.kill('SIGKILL');
    await once(victim, 'exit');

    const client = new ConnectionPool({ log: silentLog, sessionName: 'driver-1' });
    t.teardown(async () => client.close());
    const began = performance.now();
    const connection = await client.connect(context(), {
      clusterId: 'test',
      monitors: cluster.monHost,
      user,
      key,
      timeouts: { ...timeouts, connectMs: 5_000 },
    });
    const fs = await connection.fileSystem(context(), 'cephfs', ['/', '/killed']);
    t.match(
      await fs.status(context(), '/killed/made'),
      { mode: 0o700, uid: 1234, gid: 1234 },
      'what was done is there',
    );
    t.match(await fs.status(context(), '/killed/changed'), { mode: 0o711, uid: 5, gid: 6 }, 'owner and mode too');
    t.match(await failureOf(fs.makeDirectory(context(), '/killed/made', directory())), { errno: 17 });
    await fs.makeDirectory(context(), '/killed/new', directory({ attributes: quota }));
    t.equal(await fs.lock(context(), '/killed/lock'), true, 'its lock is free');
    const tookMs = performance.now() - began;
    t.ok(tookMs < 5_000, `${tookMs.toFixed(0)} ms`);
  });
}

async function evictAll(cluster: TestCluster): Promise<void> {
  const sessions = JSON.parse(await cluster.ceph(['tell', 'mds.a', 'session', 'ls', '--format', 'json'])) as {
    id: number;
  }[];
  for (const { id } of sessions) await cluster.ceph(['tell', 'mds.a', 'client', 'evict', `id=${id}`]);
}

async function onceAnswered<T>(call: () => Promise<T>, patienceMs = 60_000): Promise<T> {
  const untilMs = Date.now() + patienceMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (Date.now() > untilMs) throw error;
      await sleep(200);
    }
  }
}
