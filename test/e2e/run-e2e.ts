import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { watchInterruption } from '../../scripts/testing/interruption.js';
import { type Row, writeRows } from '../../scripts/testing/results.js';
import { isClusterNamed, startCluster, type TestCluster, useCluster } from '../harness/cluster.js';
import { type CephSide, openCephSide } from './ceph-side.js';
import { type Kubernetes, startKubernetes } from './cluster/kubernetes.js';
import { provideImages } from './images.js';
import { installByChart, openOperator } from './installed-by-chart.js';
import { createSnapshotCrds } from './objects.js';
import { type ListName, lists, runScenarios } from './run-scenarios.js';
import type { Scenario } from './scenarios/scenario.js';
import { Workload } from './workload.js';

const logs = join('.cache', 'logs', 'e2e');
const stage = 'e2e: a cluster of one node is ready';
const install = 'e2e: the image is built, the chart is installed and ready';

const help = `npm run test:e2e -- [--only NAME] [--keep]

  --only NAME  one list of scenarios: ${Object.keys(lists).join(', ')}
  --keep       leaves the cluster running after the scenarios, until Ctrl-C, and says how to reach it
`;
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) console.log(help);
else process.exitCode = await main(listsOf(values.only), values.keep);

function listsOf(only: string | undefined): ListName[] {
  const all = Object.keys(lists) as ListName[];
  const chosen = all.filter((name) => only === undefined || name === only);
  if (chosen.length === 0) throw new Error(`there is no list "${only ?? ''}": use ${all.join(', ')}`);
  return chosen;
}

async function main(names: ListName[], isKept: boolean): Promise<number> {
  const { signal } = watchInterruption();
  // Fifty claims are waited for at once.
  setMaxListeners(0, signal);
  const tools = process.env.CUTTLE_E2E_TOOLS;
  if (tools === undefined || tools === '') throw new Error('CUTTLE_E2E_TOOLS is not set: run this by npm run test:e2e');
  // Signals are ours: the pods go before the cluster that their volumes are in.
  const cluster = isClusterNamed()
    ? await useCluster()
    : await startCluster({ quickMonitor: true, stopOnSignal: false });
  const rows: Row[] = [];
  try {
    rows.push(...(await onKubernetes(cluster, tools, names, isKept, signal)));
  } catch (error) {
    if (!signal.aborted) console.error(error);
    rows.push({ stage, passed: 0, failed: 1, skipped: 0, seconds: 0 });
  } finally {
    await cluster.stop();
  }
  await writeRows('e2e', rows);
  if (rows.every((row) => row.failed === 0)) return 0;
  console.log(`  the logs of all programs are in ${logs}`);
  return 1;
}

async function onKubernetes(
  cluster: TestCluster,
  tools: string,
  names: ListName[],
  isKept: boolean,
  signal: AbortSignal,
): Promise<Row[]> {
  const began = performance.now();
  const kubernetes = await startKubernetes(tools, logs, signal);
  let ceph: CephSide | undefined;
  const rows: Row[] = [];
  try {
    ceph = await openCephSide(cluster, kubernetes.directory);
    await createSnapshotCrds(kubernetes.api, join(tools, 'sidecars', 'crds'), signal);
    await startSnapshotController(kubernetes, tools);
    const operator = await openOperator(kubernetes, tools, signal);
    await operator.createNamespace();
    rows.push({ stage, passed: 1, failed: 0, skipped: 0, seconds: sayReady(stage, began) });
    if (names.includes('manifests')) rows.push(...(await runScenarios(lists.manifests, { operator }, signal)));
    const scenarios = names.flatMap((name): readonly Scenario[] => (name === 'manifests' ? [] : lists[name]));
    if (scenarios.length > 0) {
      const beganInstalling = performance.now();
      await provideImages(kubernetes.runtime, tools, kubernetes.directory);
      const cuttle = await installByChart({ kubernetes, ceph, operator, signal });
      rows.push({ stage: install, passed: 1, failed: 0, skipped: 0, seconds: sayReady(install, beganInstalling) });
      const work = new Workload(kubernetes.api, signal);
      const context = { work, api: kubernetes.api, ceph, cuttle, operator, signal };
      rows.push(...(await runScenarios(scenarios, context, signal)));
    }
    for (const lost of kubernetes.programs.lost()) console.log(`  ended by itself: ${lost}`);
    if (isKept) await keep(kubernetes, signal);
    return rows;
  } finally {
    await ceph?.stop().catch(console.error);
    await kubernetes.stop();
  }
}

/** @returns the seconds that it has taken. */
function sayReady(what: string, began: number): number {
  const seconds = (performance.now() - began) / 1_000;
  console.log(`  ok     ${what} (${seconds.toFixed(1)} s)`);
  return seconds;
}

/** It belongs to a cluster and not to a driver. */
async function startSnapshotController({ controlPlane, programs }: Kubernetes, tools: string): Promise<void> {
  const kubeconfig = await controlPlane.kubeconfigFor('e2e-snapshot-controller', 'system:masters');
  const program = join(tools, 'sidecars', 'snapshot-controller');
  await programs.start('snapshot-controller', program, [`--kubeconfig=${kubeconfig}`, '--v=2'], { restarted: true });
}

async function keep({ controlPlane }: Kubernetes, signal: AbortSignal): Promise<void> {
  const kubeconfig = await controlPlane.kubeconfigFor('e2e-visitor', 'system:masters');
  console.log(`  the cluster stays until Ctrl-C: export KUBECONFIG=${kubeconfig}`);
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}
