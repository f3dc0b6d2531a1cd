import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { addStateMetrics, createMetrics } from '../../src/platform/metrics.js';
import type { StateSources } from '../../src/platform/state-metrics.js';
import { repositoryRoot } from '../house/read-sources.js';

const sources: StateSources = {
  contacts: () => [
    {
      cluster: 'a',
      connections: 2,
      answers: new Map([
        ['monitors', true],
        ['MDSs', false],
      ]),
    },
  ],
  configurationRefused: () => true,
  served: async () => Promise.resolve([{ backend: 'rbd', kind: 'krbd', volumes: 7 }]),
};

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
  addStateMetrics(metrics, sources);
  const ours = (await registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('cuttle_'));
  const actual = ours.map((metric) => {
    const labels = metric.values.flatMap((value) => Object.keys(value.labels)).filter((label) => label !== 'le');
    return `${metric.name} ${String(metric.type)} ${[...new Set(labels)].join(', ') || 'none'}`;
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

t.test('what is, is looked up when the metrics are read', async (t) => {
  const metrics = createMetrics('1');
  let volumes = 7;
  addStateMetrics(metrics, {
    ...sources,
    served: async () => Promise.resolve(volumes === 0 ? [] : [{ backend: 'rbd', kind: 'krbd', volumes }]),
  });
  const text = await metrics.registry.metrics();
  t.match(text, /^cuttle_ceph_connections\{cluster="a"\} 2$/m);
  t.match(text, /^cuttle_ceph_answers\{cluster="a",service="monitors"\} 1$/m);
  t.match(text, /^cuttle_ceph_answers\{cluster="a",service="MDSs"\} 0$/m);
  t.match(text, /^cuttle_configuration_refused 1$/m);
  t.match(text, /^cuttle_node_volumes\{backend="rbd",kind="krbd"\} 7$/m);
  t.match(text, /^nodejs_/m);
  volumes = 0;
  t.notMatch(await metrics.registry.metrics(), /^cuttle_node_volumes\{/m);
});

t.test('a process without the Node service tells of no volumes on its node', async (t) => {
  const metrics = createMetrics('1');
  const { contacts, configurationRefused } = sources;
  addStateMetrics(metrics, { contacts, configurationRefused });
  t.notMatch(await metrics.registry.metrics(), 'cuttle_node_volumes');
});
