import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Scenario, ScenarioContext } from './scenario.js';

const values = join('test', 'deploy', 'values', 'everything.yaml');

/** Whether the API server takes what deploy/ says, without its being done: before anything of that name is there. */
export const manifests: readonly Scenario<Pick<ScenarioContext, 'operator'>>[] = [
  {
    title: 'manifests: the API server accepts deploy/kubernetes/example',
    run: async ({ operator }) => {
      const said = await operator.kubectl(['apply', '--dry-run=server', '-k', join('deploy', 'kubernetes', 'example')]);
      return `${acceptedIn(said)} objects`;
    },
  },
  {
    title: 'manifests: the API server accepts the chart with every switch on',
    run: async ({ operator }) => {
      // The kinds of the Prometheus operator and the namespaces of others are not there.
      const without = ['monitoring.podMonitor.enabled=false', 'monitoring.prometheusRule.enabled=false'];
      const here = ['--set', without.join(','), '--set-json', 'rbac.secretNamespaces=[]', '--validate'];
      const objects = await operator.render('other', values, ...here);
      const said = await operator.kubectl(['apply', '--dry-run=server', '--filename', '-'], objects);
      return `${acceptedIn(said)} objects`;
    },
  },
];

function acceptedIn(said: string): number {
  const lines = said.split('\n').filter((line) => line !== '');
  const accepted = lines.filter((line) => /(created|configured|unchanged) \(server dry run\)$/.test(line));
  assert.ok(accepted.length > 20, `fewer than are in the chart:\n${said}`);
  assert.deepEqual(accepted, lines);
  return accepted.length;
}
