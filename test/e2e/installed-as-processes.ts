import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CephSide } from './ceph-side.js';
import type { Kubernetes } from './cluster/kubernetes.js';
import { at } from './cluster/kinds.js';
import type { Program } from './cluster/programs.js';
import { until } from './cluster/until.js';
import type { Installation } from './installation.js';
import { driverName } from './objects.js';

const launcher = fileURLToPath(new URL('../../../bin/cuttle.cjs', import.meta.url));
const registeredMs = 120_000;
/** It answers what it has been asked before it ends. */
const nodeEndsMs = 60_000;
/** What the chart gives them. */
const workers = 32;
const sidecarTimeout = '120s';

export interface InstallOptions {
  readonly kubernetes: Kubernetes;
  readonly ceph: CephSide;
  /** The directory that scripts/lib/setup-e2e fills. */
  readonly tools: string;
  readonly signal: AbortSignal;
}

/** Cuttle's two roles and the sidecars as processes of this machine; what ends is started again, as kubelet does with a container. */
export async function installAsProcesses(options: InstallOptions): Promise<Installation> {
  const { kubernetes, signal } = options;
  let controller = await startController(options);
  await startSidecars(options);
  const startNode = async (): Promise<Program[]> => {
    const programs = await startNodePlugin(options);
    const isRegistered = async (): Promise<true | undefined> => {
      const drivers = at(await kubernetes.api.get('CSINode', kubernetes.nodeName), 'spec', 'drivers');
      const names = Array.isArray(drivers) ? drivers.map((each) => at(each, 'name')) : [];
      return names.includes(driverName) ? true : undefined;
    };
    await until('driver on the node', isRegistered, { withinMs: registeredMs, signal });
    return programs;
  };
  let node = await startNode();
  return {
    killController: async () => {
      await controller.end('SIGKILL');
      controller = await startController(options);
    },
    stopNode: async () => {
      for (const program of node) await program.end('SIGTERM', nodeEndsMs);
    },
    startNode: async () => {
      node = await startNode();
    },
    stop: async () => Promise.resolve(), // with the cluster's other programs
  };
}

/** The controller's clusters carry a user of their own; `nodes` stands for the API server, which is asked only from within a pod. */
async function startController({ kubernetes, ceph }: InstallOptions): Promise<Program> {
  const directory = await directoryIn(kubernetes, 'controller');
  const config = {
    clusters: [{ id: 'default', cephConf: ceph.cluster.confPath, cephfs: cephfsOf(ceph) }],
    nodes: [kubernetes.nodeName],
  };
  return await kubernetes.programs.start('controller', process.execPath, [
    ...(await serveArguments('controller', directory, config, kubernetes)),
    `--endpoint=unix://${controllerSocket(kubernetes)}`,
  ]);
}

/** A node knows where the monitors are; who may mount, the Secrets say. */
async function startNodePlugin({ kubernetes, ceph, tools }: InstallOptions): Promise<Program[]> {
  const { kubeletDirectory, programs } = kubernetes;
  const directory = await directoryIn(kubernetes, 'node');
  const socket = join(kubeletDirectory, 'plugins', driverName, 'csi.sock');
  const config = { clusters: [{ id: 'default', monitors: ceph.cluster.monHost, cephfs: cephfsOf(ceph) }] };
  const serve = await serveArguments('node', directory, config, kubernetes);
  const plugin = await programs.start('node', process.execPath, [...serve, `--endpoint=unix://${socket}`]);
  const registrar = await programs.start(
    'registrar',
    join(tools, 'sidecars', 'registrar'),
    [
      `--csi-address=${socket}`,
      `--kubelet-registration-path=${socket}`,
      `--plugin-registration-path=${join(kubeletDirectory, 'plugins_registry')}`,
    ],
    { restarted: true },
  );
  return [registrar, plugin];
}

async function startSidecars({ kubernetes, tools }: InstallOptions): Promise<void> {
  const kubeconfig = await kubernetes.controlPlane.kubeconfigFor('e2e-sidecars', 'system:masters');
  const common = [`--kubeconfig=${kubeconfig}`, '--v=2'];
  const csi = [...common, `--csi-address=${controllerSocket(kubernetes)}`, `--timeout=${sidecarTimeout}`];
  const threads = `--worker-threads=${workers}`;
  const sidecars = {
    'csi-provisioner': [...csi, threads, '--extra-create-metadata'],
    'csi-attacher': [...csi, threads],
    'csi-resizer': [...csi, `--workers=${workers}`, '--handle-volume-inuse-error=false'],
    'csi-snapshotter': [...csi, threads, '--extra-create-metadata'],
    'snapshot-controller': common,
  };
  for (const [name, args] of Object.entries(sidecars)) {
    // They end by themselves when the driver goes away.
    await kubernetes.programs.start(name, join(tools, 'sidecars', name), args, { restarted: true });
  }
}

async function serveArguments(
  role: string,
  directory: string,
  config: unknown,
  { nodeName }: Kubernetes,
): Promise<string[]> {
  const configFile = join(directory, 'config.yaml');
  await writeFile(configFile, JSON.stringify(config)); // YAML as well
  const files = [`--config=${configFile}`, `--run-dir=${join(directory, 'run')}`];
  return [launcher, 'serve', `--role=${role}`, `--node-id=${nodeName}`, ...files, '--log-level=debug'];
}

function controllerSocket({ directory }: Kubernetes): string {
  return join(directory, 'controller', 'csi.sock');
}

function cephfsOf({ cluster, group }: CephSide): Record<string, string> {
  return { fsName: cluster.fsName, group };
}

async function directoryIn({ directory }: Kubernetes, name: string): Promise<string> {
  const path = join(directory, name);
  await mkdir(path, { recursive: true });
  return path;
}
