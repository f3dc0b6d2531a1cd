import { join } from 'node:path';
import { Api } from './api.js';
import { type Certificates, makeCertificates, writeKubeconfig } from './certificates.js';
import { endOfLog, freePorts, type Program, Programs } from './programs.js';
import { addServiceAddress, serviceAddress, servicePort, serviceRange } from './service-address.js';
import { Hopeless, until } from './until.js';

export interface ControlPlane {
  /** As a member of system:masters. */
  readonly api: Api;
  readonly certificates: Certificates;
  readonly server: string;
  /** A kubeconfig for a user of this name. */
  kubeconfigFor(user: string, group?: string): Promise<string>;
}

export interface ControlPlaneOptions {
  readonly directory: string;
  /** Directory of the programs that were built from Kubernetes' module. */
  readonly bin: string;
  readonly programs: Programs;
  readonly signal: AbortSignal;
}

const startMs = 180_000;
const masters = 'system:masters';

/** etcd, kube-apiserver, kube-controller-manager and kube-scheduler, one of each, on the loopback. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { directory, bin, programs, signal } = options;
  const certificates = await makeCertificates(join(directory, 'pki'), serviceAddress);
  const [etcdPort = 0, peerPort = 0] = await freePorts(2);
  const server = `https://${serviceAddress}:${servicePort}`;
  const kubeconfigFor = async (user: string, group?: string): Promise<string> => {
    const path = join(directory, 'pki', `${user.replaceAll(/[^a-z0-9-]/g, '-')}.kubeconfig`);
    return await writeKubeconfig(path, server, certificates.ca, await certificates.issue(user, group));
  };
  await addServiceAddress();
  const etcd = `http://127.0.0.1:${etcdPort}`;
  await programs.start('etcd', 'etcd', etcdArguments(join(directory, 'etcd'), etcd, `http://127.0.0.1:${peerPort}`));
  const serving = await certificates.issue('kube-apiserver');
  const toKubelet = await certificates.issue('kube-apiserver-to-kubelet', masters);
  const apiserver = await programs.start('kube-apiserver', join(bin, 'kube-apiserver'), [
    `--etcd-servers=${etcd}`,
    ...[`--bind-address=${serviceAddress}`, `--secure-port=${servicePort}`, `--advertise-address=${serviceAddress}`],
    // There is one, and an endpoint may not be on the loopback.
    '--endpoint-reconciler-type=none',
    `--service-cluster-ip-range=${serviceRange}`,
    ...[`--tls-cert-file=${serving.certificate}`, `--tls-private-key-file=${serving.key}`],
    ...[`--client-ca-file=${certificates.ca}`, '--authorization-mode=Node,RBAC', '--anonymous-auth=false'],
    '--enable-admission-plugins=NodeRestriction',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${certificates.serviceAccountKey}`,
    `--service-account-signing-key-file=${certificates.serviceAccountKey}`,
    ...[`--kubelet-client-certificate=${toKubelet.certificate}`, `--kubelet-client-key=${toKubelet.key}`],
    '--kubelet-preferred-address-types=InternalIP',
    ...['--allow-privileged=true', '--profiling=false'],
  ]);
  const api = await Api.connect(server, certificates.ca, await certificates.issue('e2e-admin', masters), signal);
  await untilReady(api, apiserver, signal);
  await startControllers(options, certificates, kubeconfigFor);
  // Before it is there, the API server refuses every pod of the namespace.
  const account = async () => api.find('ServiceAccount', 'default');
  await until('service account of the namespace default', account, { withinMs: startMs, signal });
  return { api, certificates, server, kubeconfigFor };
}

function etcdArguments(data: string, client: string, peer: string): string[] {
  return [
    ...['--name=e2e', `--data-dir=${data}`],
    ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
    ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`, `--initial-cluster=e2e=${peer}`],
    // The machine is shared: an etcd that waits for its disk must not lose its leader for that.
    ...['--heartbeat-interval=500', '--election-timeout=5000'],
  ];
}

async function untilReady(api: Api, apiserver: Program, signal: AbortSignal): Promise<void> {
  const isReady = async (): Promise<true | undefined> => {
    if (apiserver.ended !== undefined)
      throw new Hopeless(`kube-apiserver has ended (${apiserver.ended}):\n${await endOfLog(apiserver)}`);
    return (await api.isReady()) ? true : undefined;
  };
  await until('API server that is ready', isReady, { withinMs: startMs, signal });
}

async function startControllers(
  { bin, programs }: ControlPlaneOptions,
  certificates: Certificates,
  kubeconfigFor: ControlPlane['kubeconfigFor'],
): Promise<void> {
  const managerConfig = await kubeconfigFor('system:kube-controller-manager');
  await programs.start('kube-controller-manager', join(bin, 'kube-controller-manager'), [
    ...asUser(managerConfig),
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${certificates.serviceAccountKey}`,
    `--root-ca-file=${certificates.ca}`,
    // Busy machines are slow, not dead.
    '--node-monitor-grace-period=3m',
  ]);
  const schedulerConfig = await kubeconfigFor('system:kube-scheduler');
  await programs.start('kube-scheduler', join(bin, 'kube-scheduler'), asUser(schedulerConfig));
}

/** Neither serves anything to others here, and there is nobody to compete with. */
function asUser(kubeconfig: string): string[] {
  return [
    ...[`--kubeconfig=${kubeconfig}`, `--authentication-kubeconfig=${kubeconfig}`],
    ...[`--authorization-kubeconfig=${kubeconfig}`, '--leader-elect=false', '--secure-port=0'],
  ];
}
