import type { AddressInfo } from 'node:net';
import { Registry } from 'prom-client';
import t, { type Test } from 'tap';
import { createMetrics } from '../../src/platform/metrics.js';
import { type Readiness, serveStatus } from '../../src/platform/status-server.js';

const ready: Readiness = { ready: true, notes: [] };

async function serve(t: Test, readiness: () => Readiness = () => ready): Promise<string> {
  const server = await serveStatus({ registry: createMetrics('1.2.3').registry, readiness }, '127.0.0.1:0');
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('the series are served at /metrics, and other paths are said to be none', async (t) => {
  const address = await serve(t);
  const found = await fetch(`${address}/metrics`);
  t.equal(found.status, 200);
  t.match(await found.text(), /cuttle_build_info/);
  const other = await fetch(`${address}/`);
  t.equal(other.status, 404);
  t.match(await other.text(), '/metrics, /healthz and /readyz');
});

t.test('/healthz says that the process is alive, also when it is not ready', async (t) => {
  const address = await serve(t, () => ({ ready: false, notes: ['requests are not served'] }));
  t.equal((await fetch(`${address}/healthz`)).status, 200);
});

t.test('/readyz answers 200 or 503, and says why in words', async (t) => {
  let now: Readiness = { ready: true, notes: ['cluster "a": answers (open connections: 1)'] };
  const address = await serve(t, () => now);
  const good = await fetch(`${address}/readyz`);
  t.equal(good.status, 200);
  t.equal(await good.text(), 'ready\ncluster "a": answers (open connections: 1)\n');
  now = { ready: false, notes: ['requests are not served'] };
  const bad = await fetch(`${address}/readyz`);
  t.equal(bad.status, 503);
  t.equal(await bad.text(), 'not ready\nrequests are not served\n');
});

t.test('metrics that can not be collected are an answer too', async (t) => {
  const registry = new Registry();
  registry.metrics = async () => Promise.reject(new Error('no such table'));
  const server = await serveStatus({ registry, readiness: () => ready }, '127.0.0.1:0');
  t.teardown(() => server.close());
  const found = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`);
  t.equal(found.status, 500);
  t.match(await found.text(), 'no such table');
});

t.test('an address that is none, or taken, is refused by the name of the option', async (t) => {
  const pages = { registry: new Registry(), readiness: () => ready };
  for (const address of ['9090', 'localhost', '127.0.0.1:', 'a:b'])
    await t.rejects(serveStatus(pages, address), {
      code: 'INVALID_ARGUMENT',
      message: /^--metrics-addr ".*" is not host:port/,
    });
  const address = (await serve(t)).replace('http://', '');
  await t.rejects(serveStatus(pages, address), {
    code: 'INVALID_ARGUMENT',
    message: /^--metrics-addr 127\.0\.0\.1:\d+: .*EADDRINUSE/,
  });
  await t.rejects(serveStatus(pages, '127.0.0.1:99999'), { code: 'INVALID_ARGUMENT' });
});
