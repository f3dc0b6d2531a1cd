import { join, resolve } from 'node:path';
import { readMountInfo } from 'mount-utils-ts';
import type { CephSide } from './ceph-side.js';
import { chartValues, driverName } from './chart-values.js';
import type { Kubernetes } from './cluster/kubernetes.js';
import { at } from './cluster/kinds.js';
import { freePorts } from './cluster/programs.js';
import { until } from './cluster/until.js';
import type { Installation } from './installation.js';
import { Operator } from './operator.js';

export const chart = resolve('deploy', 'charts', 'cuttle');
const nodeMs = 180_000;
/** A label that no node has. */
const nowhere = 'cuttle.test/nowhere';

export interface InstallOptions {
  readonly kubernetes: Kubernetes;
  readonly ceph: CephSide;
  readonly operator: Operator;
  readonly signal: AbortSignal;
}

/** @param tools the directory that scripts/lib/setup-e2e fills. */
export async function openOperator(kubernetes: Kubernetes, tools: string, signal: AbortSignal): Promise<Operator> {
  const helm = process.env.CUTTLE_HELM;
  if (helm === undefined || helm === '') throw new Error('CUTTLE_HELM is not set: run this by npm run test:e2e');
  return new Operator({
    directory: kubernetes.directory,
    kubeconfig: await kubernetes.controlPlane.kubeconfigFor('e2e-operator', 'system:masters'),
    kubectl: join(tools, 'kubernetes', 'kubectl'),
    helm,
    chart,
    signal,
  });
}

/** Installs the chart. Its images are there already. */
export async function installByChart({ kubernetes, ceph, operator, signal }: InstallOptions): Promise<Installation> {
  const [metrics = 0, health = 0, nodeMetrics = 0, nodeHealth = 0] = await freePorts(4);
  const node = { metrics: nodeMetrics, health: nodeHealth };
  const values = chartValues(kubernetes, ceph, { controller: { metrics, health }, node });
  const registered = async (isWanted: boolean): Promise<void> => {
    const isSo = async (): Promise<true | undefined> => {
      const drivers = at(await kubernetes.api.get('CSINode', kubernetes.nodeName), 'spec', 'drivers');
      const names = Array.isArray(drivers) ? drivers.map((each) => at(each, 'name')) : [];
      return names.includes(driverName) === isWanted ? true : undefined;
    };
    await until(`driver ${isWanted ? 'on' : 'off'} the node`, isSo, { withinMs: nodeMs, signal });
  };
  const kill = async (role: 'controller' | 'node'): Promise<void> => {
    const isDriver = (command: readonly string[]): boolean =>
      command.includes('serve') && command.includes(`--role=${role}`);
    const found = (await kubernetes.podProcesses()).filter(({ command }) => isDriver(command));
    if (found.length !== 1) throw new Error(`${found.length} processes are the ${role}'s driver, and not one`);
    for (const { pid } of found) process.kill(pid, 'SIGKILL');
  };
  let revision = 0;
  await operator.upgrade(values);
  await registered(true);
  return {
    killController: async () => kill('controller'),
    // Not by the chart's nodeSelector, which is the holder's too.
    stopNode: async () => {
      await selectNodes(operator, { [nowhere]: 'true' });
      const isGone = async () => ((await nodePods(operator)) === '' ? true : undefined);
      await until('end of the node plugin', isGone, { withinMs: nodeMs, signal });
    },
    startNode: async () => {
      await selectNodes(operator, { [nowhere]: null });
      await registered(true);
    },
    replaceNode: async () => {
      const before = await nodePods(operator);
      revision++;
      await operator.upgrade({ ...values, node: { ports: node, podAnnotations: { revision: String(revision) } } });
      await operator.inNamespace('rollout', 'status', 'daemonset/cuttle-node', '--timeout=120s');
      if ((await nodePods(operator)) === before) throw new Error('the pod of the node plugin is still the old one');
      await registered(true);
    },
    killNode: async () => {
      const before = await restartsOfNode(operator);
      await kill('node');
      const isBack = async () => ((await restartsOfNode(operator)) > before ? true : undefined);
      await until('restart of the node plugin', isBack, { withinMs: nodeMs, signal });
      await operator.inNamespace('rollout', 'status', 'daemonset/cuttle-node', '--timeout=120s');
    },
    staged: async () => {
      const staging = join(kubernetes.kubeletDirectory, 'plugins', 'kubernetes.io', 'csi');
      const points = (await readMountInfo()).map(({ mountPoint }) => mountPoint);
      return points.filter((point) => point.startsWith(`${staging}/`));
    },
    uninstall: async () => {
      await operator.uninstall();
      // Helm does not wait for pods, which may take a moment to end.
      const isNothingLeft = async () => ((await leftOf(operator)).length === 0 ? true : undefined);
      await until('end of what was installed', isNothingLeft, { withinMs: nodeMs, signal }).catch(() => undefined);
      return await leftOf(operator);
    },
  };
}

const ofNode = ['--selector', 'app.kubernetes.io/component=node'];

async function selectNodes(operator: Operator, nodeSelector: Record<string, string | null>): Promise<void> {
  const patch = { spec: { template: { spec: { nodeSelector } } } };
  await operator.inNamespace('patch', 'daemonset/cuttle-node', '--patch', JSON.stringify(patch));
}

async function nodePods(operator: Operator): Promise<string> {
  return await operator.inNamespace('get', 'pods', ...ofNode, '--output', 'name');
}

async function restartsOfNode(operator: Operator): Promise<number> {
  const path = '{.items[*].status.containerStatuses[?(@.name=="driver")].restartCount}';
  return Number(await operator.inNamespace('get', 'pods', ...ofNode, '--output', `jsonpath=${path}`));
}

/** Everything that carries the chart's label, whatever its kind. */
async function leftOf(operator: Operator): Promise<string[]> {
  const kinds = (await operator.kubectl(['api-resources', '--verbs=list', '--output=name']))
    .split('\n')
    .filter((kind) => kind !== '' && !kind.startsWith('events'));
  const label = ['--selector', 'app.kubernetes.io/managed-by=Helm', '--all-namespaces', '--output=name'];
  const found = await operator.kubectl(['get', kinds.join(','), '--ignore-not-found', ...label]);
  return found.split('\n').filter((name) => name !== '');
}
