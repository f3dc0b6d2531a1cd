import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { createMetrics, serveMetrics } from '../../src/platform/metrics.js';
import { repositoryRoot } from '../house/read-sources.js';

t.test('docs/metrics.md lists exactly the series of the driver, with type and labels', async (t) => {
  const page = readFileSync(join(repositoryRoot(), 'docs/metrics.md'), 'utf8');
  const documented = [...page.matchAll(/^\| `(cuttle_[a-z_]+)` \| (\w+) \| (.*?) \|/gm)].map(
    ([, name, type, labels = '']) => `${name ?? ''} ${type ?? ''} ${labels.replaceAll('`', '')}`,
  );
  const metrics = createMetrics('1.2.3');
  const { registry } = metrics;
  metrics.start('CreateVolume')('OK');
  const count = metrics.background('trash');
  count.waiting('pool', 3);
  count.finished('pool');
  const actual = (await registry.getMetricsAsJSON()).map((metric) => {
    const labels = metric.values.flatMap((value) => Object.keys(value.labels)).filter((label) => label !== 'le');
    return `${metric.name} ${String(metric.type)} ${[...new Set(labels)].join(', ')}`;
  });
  t.strictSame(documented.sort(), actual.sort());
});

t.test('an RPC is counted as under way, then with its outcome', async (t) => {
  const metrics = createMetrics('1.2.3');
  const { registry } = metrics;
  const end = metrics.start('CreateVolume');
  t.match(await registry.metrics(), /cuttle_rpc_in_flight\{method="CreateVolume"\} 1/);
  end('ABORTED');
  const text = await registry.metrics();
  t.match(text, /cuttle_rpc_in_flight\{method="CreateVolume"\} 0/);
  t.match(text, /cuttle_rpc_duration_seconds_count\{method="CreateVolume",code="ABORTED"\} 1/);
  t.match(text, /cuttle_build_info\{version="1\.2\.3"\} 1/);
});

t.test('the series are served at /metrics and nothing else is', async (t) => {
  const server = await serveMetrics(createMetrics('1.2.3'), '127.0.0.1:0');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const found = await fetch(`http://127.0.0.1:${port}/metrics`);
  t.equal(found.status, 200);
  const text = await found.text();
  t.match(text, /cuttle_build_info/);
  t.match(text, /nodejs_/);
  t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
});

t.test('an address that is none, or taken, is refused by the name of the option', async (t) => {
  for (const address of ['9090', 'localhost', '127.0.0.1:', 'a:b'])
    await t.rejects(serveMetrics(createMetrics('1'), address), {
      code: 'INVALID_ARGUMENT',
      message: /^--metrics-addr ".*" is not host:port/,
    });
  const server = await serveMetrics(createMetrics('1'), '127.0.0.1:0');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  await t.rejects(serveMetrics(createMetrics('1'), `127.0.0.1:${port}`), {
    code: 'INVALID_ARGUMENT',
    message: /^--metrics-addr 127\.0\.0\.1:\d+: .*EADDRINUSE/,
  });
  await t.rejects(serveMetrics(createMetrics('1'), '127.0.0.1:99999'), { code: 'INVALID_ARGUMENT' });
});
