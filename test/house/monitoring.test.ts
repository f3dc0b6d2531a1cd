import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { addStateMetrics, createMetrics } from '../../src/platform/metrics.js';
import { repositoryRoot } from './read-sources.js';

const read = (path: string) => readFileSync(join(repositoryRoot(), path), 'utf8');

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

const { groups } = parse(read('deploy/charts/cuttle/files/alerts.yaml')) as { groups: { rules: Alert[] }[] };
const alerts = groups.flatMap(({ rules }) => rules);
const dashboard = JSON.parse(read('deploy/charts/cuttle/files/dashboard.json')) as {
  panels: { id: number; title: string; targets: { expr: string }[] }[];
};

/** Every series that a driver with both roles has, with the names that Prometheus gives a histogram's, and its labels. */
async function registered(): Promise<Map<string, Set<string>>> {
  const metrics = createMetrics('1');
  metrics.start('CreateVolume')('OK');
  const count = metrics.background('trash');
  count.waiting('pool', 1);
  count.finished('pool');
  addStateMetrics(metrics, {
    contacts: () => [{ cluster: 'a', connections: 1, answers: new Map([['monitors', true]]) }],
    configurationRefused: () => false,
    served: async () => Promise.resolve([{ backend: 'rbd', kind: 'krbd', volumes: 1 }]),
  });
  const series = new Map<string, Set<string>>();
  for (const line of (await metrics.registry.metrics()).split('\n')) {
    const [, name, labels = ''] = /^([a-z_]+)(?:\{(.*)\})? /.exec(line) ?? [];
    if (name === undefined) continue;
    const known = series.get(name) ?? new Set<string>();
    for (const [, label = ''] of labels.matchAll(/([a-z_]+)="/g)) known.add(label);
    series.set(name, known);
  }
  return series;
}

/** Those that Prometheus or the chart's PodMonitor adds. */
const ofPods = ['pod', 'node', 'app_kubernetes_io_component'];

/** What an expression asks of the registry and does not get. */
function unknownIn(expr: string, series: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const names = [...expr.matchAll(/\b((?:cuttle|process|nodejs)_[a-z_]+)(\{[^}]*\})?/g)];
  if (names.length === 0) return [`no series in ${expr}`];
  const wrong = names.flatMap(([, name = '', selector = '']) => {
    const labels = series.get(name);
    if (labels === undefined) return [`series ${name}`];
    return [...selector.matchAll(/([a-z_]+)(?:=~|!~|!=|=)"/g)].flatMap(([, label = '']) =>
      labels.has(label) || ofPods.includes(label) ? [] : [`label ${label} of ${name}`],
    );
  });
  const all = new Set([...names.flatMap(([, name = '']) => [...(series.get(name) ?? [])]), ...ofPods]);
  const grouped = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/));
  return [...wrong, ...grouped.filter((label) => !all.has(label)).map((label) => `label ${label}`)];
}

t.test('alerts and dashboard use series and labels that the driver has', async (t) => {
  const series = await registered();
  t.ok(alerts.length >= 8);
  for (const { alert, expr } of alerts) t.strictSame(unknownIn(expr, series), [], alert);
  t.ok(dashboard.panels.length >= 8);
  for (const { title, targets } of dashboard.panels)
    for (const { expr } of targets) t.strictSame(unknownIn(expr, series), [], title);
  t.strictSame(
    unknownIn('sum by (colour) (rate(cuttle_rpc_in_flight{method="x",shape="y"}[5m])) > cuttle_none', series),
    ['label shape of cuttle_rpc_in_flight', 'series cuttle_none', 'label colour'],
  );
});

t.test("codes and methods that alerts name are the driver's", (t) => {
  const errors = read('docs/errors.md');
  const contract = read('proto/csi.proto');
  const values = (label: string) =>
    alerts.flatMap(({ expr }) =>
      [...expr.matchAll(new RegExp(`${label}=~?"([^"]+)"`, 'g'))].flatMap(([, value = '']) => value.split('|')),
    );
  t.ok(values('code').length >= 3 && values('method').length >= 3);
  for (const code of values('code')) t.match(errors, `| \`${code}\` |`);
  for (const method of values('method')) t.ok(new RegExp(`rpc ${method}\\b`).test(contract), method);
  t.end();
});

t.test('every alert says how bad it is, what it means and what to do, in docs/monitoring.md too', (t) => {
  const headings = [...read('docs/monitoring.md').matchAll(/^### (\w+)$/gm)].map(([, name]) => name);
  t.strictSame(
    headings,
    alerts.map(({ alert }) => alert),
  );
  for (const { alert, labels, annotations } of alerts) {
    t.match(labels.severity, /^(critical|warning|info)$/, alert);
    t.ok(annotations.summary && annotations.description, alert);
    t.equal(annotations.runbook_url, `docs/monitoring.md#${alert.toLowerCase()}`);
  }
  t.end();
});

t.test('every series of the driver is on the dashboard', async (t) => {
  const shown = JSON.stringify(dashboard);
  const names = [...(await registered()).keys()].map((name) => name.replace(/_(bucket|sum|count)$/, ''));
  for (const name of new Set(names.filter((each) => each.startsWith('cuttle_')))) t.match(shown, name);
});
