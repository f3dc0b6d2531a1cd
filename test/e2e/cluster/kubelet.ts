import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerRuntime } from './container-runtime.js';
import type { ControlGroup } from './control-groups.js';
import type { ControlPlane } from './control-plane.js';
import { textAt } from './kinds.js';
import { endOfLog, freePorts, type Programs } from './programs.js';
import { serviceAddress } from './service-address.js';
import { Hopeless, until } from './until.js';

export interface KubeletOptions {
  readonly directory: string;
  readonly bin: string;
  readonly nodeName: string;
  readonly controlPlane: ControlPlane;
  readonly runtime: ContainerRuntime;
  readonly controlGroup: ControlGroup;
  readonly programs: Programs;
  readonly signal: AbortSignal;
}

const readyMs = 180_000;

/** Where kubelet has the logs of a run's pods. */
export function podLogsBelow(directory: string): string {
  return join(directory, 'pod-log');
}

/** @returns kubelet's directory, when its node is ready for pods. */
export async function startKubelet(options: KubeletOptions): Promise<string> {
  const { directory, bin, nodeName, controlPlane, programs, signal } = options;
  const root = join(directory, 'kubelet');
  await mkdir(root, { recursive: true });
  const kubeconfig = await controlPlane.kubeconfigFor(`system:node:${nodeName}`, 'system:nodes');
  const configFile = join(directory, 'kubelet.yaml');
  await writeFile(configFile, JSON.stringify(await configOf(options, root), null, 2));
  const kubelet = await programs.start('kubelet', join(bin, 'kubelet'), [
    ...[`--config=${configFile}`, `--kubeconfig=${kubeconfig}`, `--root-dir=${root}`],
    ...[`--hostname-override=${nodeName}`, `--node-ip=${serviceAddress}`, `--cert-dir=${root}/pki`],
  ]);
  const isReady = async (): Promise<true | undefined> => {
    if (kubelet.ended !== undefined)
      throw new Hopeless(`kubelet has ended (${kubelet.ended}):\n${await endOfLog(kubelet)}`);
    const node = await controlPlane.api.find('Node', nodeName);
    const conditions = (node as { status?: { conditions?: unknown[] } } | undefined)?.status?.conditions ?? [];
    const ready = conditions.find((condition) => textAt(condition, 'type') === 'Ready');
    return textAt(ready, 'status') === 'True' ? true : undefined;
  };
  await until('node that is ready', isReady, { withinMs: readyMs, signal });
  return root;
}

async function configOf(options: KubeletOptions, root: string): Promise<Record<string, unknown>> {
  const { directory, controlPlane, runtime, controlGroup } = options;
  const [port, healthzPort] = await freePorts(2);
  const never = {
    'memory.available': '0%',
    'nodefs.available': '0%',
    'nodefs.inodesFree': '0%',
    'imagefs.available': '0%',
  };
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: serviceAddress,
    port,
    healthzBindAddress: '127.0.0.1',
    healthzPort,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: controlPlane.certificates.ca },
    },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: `unix://${runtime.socket}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: controlGroup.path,
    // Machines with the older control groups are welcome.
    failCgroupV1: false,
    failSwapOn: false,
    // The machine is shared: kubelet neither divides it up nor clears it of pods and images.
    enforceNodeAllocatable: ['none'],
    evictionHard: never,
    imageGCHighThresholdPercent: 100,
    localStorageCapacityIsolation: false,
    makeIPTablesUtilChains: false,
    oomScoreAdj: 0,
    podLogsDir: podLogsBelow(directory),
    volumePluginDir: join(root, 'volume-plugins'),
  };
}
