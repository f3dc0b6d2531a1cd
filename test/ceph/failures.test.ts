import { createServer, type Server } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { CephPool } from '../../src/ceph/client.js';
import { ConnectionPool } from '../../src/ceph/connection-pool.js';
import { Secret } from '../../src/platform/secret.js';
import { isDriverError } from '../../src/domain/errors.js';
import { type Daemon, startCluster, type TestCluster } from '../harness/cluster.js';
import { stopProcess } from '../harness/stop-process.js';
import { context, creation, failureOf, silentLog } from './contract-subject.js';
import { adminAccess } from './real-subject.js';

t.setTimeout(300_000);

const timeouts = { connectMs: 2_000, monMs: 2_000, osdMs: 2_000 };
/** A whole second's rounding in librados, and some for this machine. */
const slackMs = 1_500;
const key = new Secret('AQAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAA==');

async function unavailableWithin(t: Test, ms: number, monitors: string, work: Promise<unknown>): Promise<void> {
  const began = performance.now();
  const failure = await failureOf(work);
  const tookMs = performance.now() - began;
  t.equal(failure.code, 'UNAVAILABLE');
  t.ok(failure.message.includes(monitors), failure.message);
  t.ok(tookMs < ms + slackMs, `answered in ${tookMs.toFixed(0)} ms of ${ms}`);
}

t.test('monitors that do not answer', async (t) => {
  const client = new ConnectionPool({ log: silentLog });
  const silent: Server = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const address = silent.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const places = {
    'refuse the connection': '127.0.0.1:1',
    'accept and never speak (v2)': `[v2:127.0.0.1:${port}]`,
    'accept and never speak (v1)': `[v1:127.0.0.1:${port}]`,
  };
  for (const [what, monitors] of Object.entries(places)) {
    await t.test(`monitors that ${what} are UNAVAILABLE in time, with their address`, async (t) => {
      const access = { clusterId: 'down', monitors, user: 'admin', key, timeouts };
      await unavailableWithin(t, timeouts.connectMs, monitors, client.connect(context(), access));
      await unavailableWithin(t, 300, monitors, client.connect(context(300), access));
      const others = Array.from({ length: 8 }, async (_, i) => {
        await unavailableWithin(t, 800, monitors, client.connect(context(800), { ...access, user: `user-${i}` }));
      });
      await Promise.all(others);
    });
  }
  await sleep(2_500);
  await client.close();
  silent.close();
});

t.test('daemons that stop in the middle of their lives', async (t) => {
  const cluster = await startCluster({ fs: false });
  t.teardown(async () => cluster.stop());
  const client = new ConnectionPool({ log: silentLog });
  t.teardown(async () => client.close());
  const access = adminAccess(cluster, timeouts);
  const connection = await client.connect(context(), access);
  const pool = await connection.pool(context(), 'rbd', '');
  // What is moved to the trash may go there long after the call was answered: nobody else needs it.
  for (const name of ['image', 'unwanted']) await pool.images.create(context(), name, creation());

  await t.test('a monitor that is stopped holds up what needs it, in time, and nothing else', async (t) => {
    await whileStopped(t, cluster, 'mon', async () => {
      const df = async (ms?: number) => connection.monCommand(context(ms), { prefix: 'df' });
      await unavailableWithin(t, timeouts.monMs, cluster.monHost, df());
      await unavailableWithin(t, 300, cluster.monHost, df(300));
      await unavailableWithin(t, timeouts.monMs, cluster.monHost, connection.pool(context(), 'missing', ''));
      await unavailableWithin(t, 300, cluster.monHost, connection.pool(context(300), 'missing', ''));
      await unavailableWithin(t, 600, cluster.monHost, client.connect(context(600), { ...access, clusterId: 'new' }));
      const began = performance.now();
      for (let i = 0; i < 20; i++) await pool.images.create(context(), `without-mon-${i}`, creation());
      t.ok(performance.now() - began < 2_000, 'images are made meanwhile');
    });
    t.match(await failureOf(connection.pool(context(), 'missing', '')), { code: 'NOT_FOUND' });
    t.ok(await connection.monCommand(context(), { prefix: 'df' }));
    t.ok(await client.connect(context(), { ...access, clusterId: 'new' }));
  });

  await t.test('an OSD that is stopped makes every call UNAVAILABLE in time', async (t) => {
    // One stop each: after 16 s without a heartbeat, an OSD alone in its pool lets its read leases expire, and Ceph 16 leaves
    // reads "waiting for readable" for good.
    for (const [name, call] of Object.entries(osdCalls(pool))) {
      await whileStopped(t, cluster, 'osd', async () => {
        await unavailableWithin(t, timeouts.osdMs, cluster.monHost, call(undefined));
        await unavailableWithin(t, 200, cluster.monHost, call(200));
      });
      await onceAnswered(async () => pool.omap.get(context(), 'object', ['a']));
      t.pass(name);
    }
    const header = await onceAnswered(async () => pool.images.header(context(), 'image', []));
    t.ok(header.sizeBytes >= 1n << 30n);
    t.ok(await client.connect(context(), access));
  });

  await t.test('many calls without a deadline that hang are all answered within the timeouts', async (t) => {
    await whileStopped(t, cluster, 'osd', async () => {
      const calls = Array.from({ length: 60 }, async () => {
        await unavailableWithin(t, timeouts.osdMs * 2.5, cluster.monHost, pool.omap.get(context(), 'o', ['a']));
      });
      await Promise.all(calls);
    });
    t.same(await onceAnswered(async () => pool.omap.get(context(), 'o', ['a'])), new Map());
  });

  await t.test('whatever an OSD was stopped in ends, works again and leaves nothing open', async (t) => {
    for (const stopAfterMs of [0, 1, 2, 4, 8]) {
      const calls = [
        pool.images.grow(context(), 'image', BigInt(2 + stopAfterMs) << 30n),
        pool.images.layout(context(), 'image'),
        pool.images.create(context(1_000), `interrupted-${stopAfterMs}`, creation()),
      ];
      const settled = Promise.allSettled(calls);
      await sleep(stopAfterMs);
      await whileStopped(t, cluster, 'osd', async () => {
        await Promise.race([settled, sleep(timeouts.osdMs + slackMs)]);
      });
      await settled;
    }
    // A close that was cut off leaves its watch and lock to the OSD, which forgets them after 30 s.
    const images = async () => (await (await client.connect(context(), access)).pool(context(), 'rbd', '')).images;
    await onceAnswered(async () => (await images()).grow(context(), 'image', 1n << 40n), 60_000);
    t.equal((await (await images()).header(context(), 'image', [])).sizeBytes, 1n << 40n);
    for (let i = 0; i < 45 && (await (await images()).watchers(context(), 'image')).length > 0; i++) await sleep(1_000);
    t.same(await (await images()).watchers(context(), 'image'), []);
  });
});

t.test('connecting, opening, creating and closing never block the event loop', async (t) => {
  const cluster = await startCluster({ fs: false });
  t.teardown(async () => cluster.stop());
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  for (let round = 0; round < 5; round++) {
    const client = new ConnectionPool({ log: silentLog });
    const connection = await client.connect(context(), adminAccess(cluster));
    const pool = await connection.pool(context(), 'rbd', '');
    const names = Array.from({ length: 48 }, (_, i) => `loop-${round}-${i}`);
    await Promise.all(names.map(async (name) => pool.images.create(context(), name, creation())));
    await Promise.all(names.map(async (name) => pool.images.layout(context(), name)));
    await Promise.all(names.map(async (name) => pool.images.remove(context(), name)));
    await client.close();
  }
  delay.disable();
  const longestMs = delay.max / 1e6;
  t.ok(longestMs < 400, `the longest pause was ${longestMs.toFixed(1)} ms`);
});

function osdCalls(pool: CephPool): Record<string, (deadlineMs: number | undefined) => Promise<unknown>> {
  return {
    header: async (ms) => pool.images.header(context(ms), 'image', ['a']),
    create: async (ms) => pool.images.create(context(ms), 'hung', creation()),
    grow: async (ms) => pool.images.grow(context(ms), 'image', 1n << 31n),
    list: async (ms) => pool.images.list(context(ms), '', 10),
    layout: async (ms) => pool.images.layout(context(ms), 'image'),
    trash: async (ms) => pool.images.moveToTrash(context(ms), 'unwanted'),
    omap: async (ms) => pool.omap.update(context(ms), 'object', { set: new Map([['a', '1']]) }),
    lock: async (ms) => pool.lock(context(ms), 'object', 'name', 'cookie', 1_000),
  };
}

/** A daemon that goes on has a backlog first: on a busy machine it may take longer than our short timeouts. */
async function onceAnswered<T>(call: () => Promise<T>, patienceMs = 15_000): Promise<T> {
  const untilMs = Date.now() + patienceMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (Date.now() > untilMs || isDriverError(error, 'NOT_FOUND')) throw error;
      await sleep(200);
    }
  }
}

async function whileStopped(
  t: Test,
  cluster: TestCluster,
  daemon: Daemon,
  work: () => Promise<unknown>,
): Promise<void> {
  const pid = await cluster.pidOf(daemon);
  const goOn = () => process.kill(pid, 'SIGCONT');
  process.once('exit', goOn);
  await stopProcess(pid);
  try {
    await work();
  } catch (error) {
    t.error(error);
  } finally {
    goOn();
    process.off('exit', goOn);
  }
}
