import { access, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { csi } from '../../src/csi/gen/csi.js';
import { call, type Driver, failure } from '../harness/driver.js';
import { createRequest } from '../harness/requests.js';
import { lonelyDriver, until } from './run-cuttle.js';

const isGone = async (path: string) =>
  access(path).then(
    () => false,
    () => true,
  );

/** The exit code of a driver that was told to end already: a second signal would end it at once. */
async function exitCodeOf(driver: Driver): Promise<number | null> {
  await until('the process has ended', () => {
    try {
      return !process.kill(driver.pid, 0);
    } catch {
      return true;
    }
  });
  return driver.stop();
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} ends it with exit code 0 and without its socket`, async (t) => {
    const driver = await lonelyDriver(t);
    t.equal(await driver.stop(signal), 0);
    t.ok(await isGone(driver.socketPath));
    t.match(await driver.log(), `"signal":"${signal}"`);
    t.match(await driver.log(), /"msg":"stopped"/);
  });
}

/** A monitor that takes connections and never says a word; counts them. */
async function silentMonitor(t: Test) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, connections: () => sockets.size };
}

t.test('SIGTERM lets an RPC under way end and refuses new ones on the same connection', async (t) => {
  const monitor = await silentMonitor(t);
  const config = `clusters: [{ id: a, monitors: "127.0.0.1:${monitor.port}", timeouts: { connectSeconds: 4 } }]`;
  const driver = await lonelyDriver(t, { config, role: 'controller' });
  const startMs = performance.now();
  let ended = false;
  const slow = failure((done) => driver.controller.CreateVolume(createRequest('slow'), done)).finally(() => {
    ended = true;
  });
  await until(
    'the RPC is with the monitor',
    async () => (await driver.log()).includes('"rpc":"CreateVolume"') && monitor.connections() > 0,
  );
  process.kill(driver.pid, 'SIGTERM');
  await until('it is shutting down', async () => (await driver.log()).includes('shutting down'));
  const refused = await failure((done) => driver.controller.CreateVolume(createRequest('other'), done));
  t.strictSame(refused, { code: status.UNAVAILABLE, message: 'the driver is shutting down: repeat the request' });
  await until('nobody new finds it', async () => isGone(driver.socketPath));
  t.notOk(ended, 'the slow one is still under way');
  const answer = await slow;
  t.equal(answer.code, status.UNAVAILABLE);
  t.match(answer.message, new RegExp(`no answer in time from the monitors at .*127\\.0\\.0\\.1:${monitor.port}`));
  t.ok(performance.now() - startMs > 3_000, 'it had the time of its own');
  t.equal(await exitCodeOf(driver), 0);
  t.ok(await isGone(driver.socketPath));
});

t.test('the caller of an RPC that does not end within --shutdown-grace is answered then', async (t) => {
  const monitor = await silentMonitor(t);
  const config = `clusters: [{ id: a, monitors: "127.0.0.1:${monitor.port}", timeouts: { connectSeconds: 6 } }]`;
  const driver = await lonelyDriver(t, { config, role: 'controller', args: ['--shutdown-grace', '1'] });
  const slow = failure((done) => driver.controller.CreateVolume(createRequest('slow'), done));
  await until('the RPC has begun', async () => (await driver.log()).includes('"rpc":"CreateVolume"'));
  const startMs = performance.now();
  process.kill(driver.pid, 'SIGTERM');
  const mayBeGoingOn: readonly number[] = [status.UNAVAILABLE, status.CANCELLED];
  t.ok(mayBeGoingOn.includes((await slow).code));
  t.ok(performance.now() - startMs < 4_000, 'before the call to Ceph has ended');
  t.match(await driver.log(), /some RPCs did not end in time/);
  // The native call can't be taken back: the process ends with its time limit.
  t.equal(await exitCodeOf(driver), 0);
});

t.test('SIGHUP reads the configuration again, and a broken one changes nothing', async (t) => {
  const driver = await lonelyDriver(t);
  // Refused for its cluster as long as that is unknown, then for its size: no Ceph is asked.
  const ask = async () => {
    const request = createRequest('a', { requiredBytes: -1n, parameters: { clusterID: 'b' } });
    return (await failure((done) => driver.controller.CreateVolume(request, done))).message;
  };
  t.match(await ask(), /clusterID "b" is not a cluster of this driver: name one of "a"/);
  await writeFile(driver.configFile, 'clusters: [');
  process.kill(driver.pid, 'SIGHUP');
  await until('the broken file is reported', async () => (await driver.log()).includes('the earlier one stays in use'));
  t.match(await ask(), /clusterID "b" is not a cluster/);
  await writeFile(driver.configFile, 'clusters: [{ id: b, monitors: "127.0.0.1:1" }]');
  process.kill(driver.pid, 'SIGHUP');
  await until('the new file is in use', async () => (await driver.log()).includes('has changed and is in use'));
  t.match(await ask(), /required_bytes is -1/);
  t.ok(await call((done) => driver.identity.Probe(new csi.v1.ProbeRequest(), done)), 'it still serves');
});
