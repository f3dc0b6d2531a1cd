import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { failure } from '../harness/driver.js';
import { createRequest } from '../harness/requests.js';
import { lonelyDriver, nobodyThere, until } from './run-cuttle.js';

t.setTimeout(60_000);

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A driver whose only cluster is not there, and what its pages say. */
async function watchedDriver(t: Test) {
  const address = `127.0.0.1:${await freePort()}`;
  const driver = await lonelyDriver(t, { args: ['--metrics-addr', address] });
  const get = async (path: string) => {
    const found = await fetch(`http://${address}${path}`);
    return { status: found.status, text: await found.text() };
  };
  return { driver, get };
}

t.test('a driver whose cluster is not there is ready, alive, and says what it knows', async (t) => {
  const { driver, get } = await watchedDriver(t);
  t.same(await get('/readyz'), { status: 200, text: 'ready\ncluster "a": nothing was asked of it yet\n' });
  t.equal((await failure((done) => driver.controller.CreateVolume(createRequest('x'), done))).code, 14);
  const ready = await get('/readyz');
  t.equal(ready.status, 200);
  t.match(ready.text, 'cluster "a": the last call to its monitors got no answer in time');
  t.equal((await get('/healthz')).status, 200);
  const { text } = await get('/metrics');
  t.match(text, 'cuttle_ceph_answers{cluster="a",service="monitors"} 0');
  t.match(text, 'cuttle_ceph_connections{cluster="a"} 0');
  t.match(text, 'cuttle_rpc_duration_seconds_count{method="CreateVolume",code="UNAVAILABLE"} 1');
  t.match(text, /cuttle_node_volumes\{backend="rbd",kind="userspace"\} 0/);
});

t.test('a configuration that is refused makes it unready until it is repaired', async (t) => {
  const { driver, get } = await watchedDriver(t);
  await writeFile(driver.configFile, 'clusters: []');
  process.kill(driver.pid, 'SIGHUP');
  await until('it is not ready', async () => (await get('/readyz')).status === 503);
  t.match((await get('/readyz')).text, /^not ready\nthe changed configuration is refused.*lists no cluster/);
  t.match((await get('/metrics')).text, 'cuttle_configuration_refused 1');
  t.equal((await get('/healthz')).status, 200);
  await writeFile(driver.configFile, nobodyThere);
  process.kill(driver.pid, 'SIGHUP');
  await until('it is ready', async () => (await get('/readyz')).status === 200);
});
