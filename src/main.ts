import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Luks, Mounter, ResizeFs, SafeFormatAndMount } from 'mount-utils-ts';
import type { ControllerBackend, NodeBackend } from './backend/backend.js';
import { CephfsController, type CephfsControllerDependencies } from './backend/cephfs/cephfs-controller.js';
import { CephfsNode } from './backend/cephfs/cephfs-node.js';
import { FuseMounter } from './backend/cephfs/fuse-mounter.js';
import { KernelMounter } from './backend/cephfs/kernel-mounter.js';
import { DmCryptMapper } from './backend/rbd/dm-crypt-mapper.js';
import { mountedDirectories } from './backend/cephfs/mounted-directories.js';
import { KrbdMapper } from './backend/rbd/krbd-mapper.js';
import { mappedImages } from './backend/rbd/mapped-images.js';
import { NbdMapper } from './backend/rbd/nbd-mapper.js';
import { RbdController, type RbdControllerDependencies } from './backend/rbd/rbd-controller.js';
import { RbdNode } from './backend/rbd/rbd-node.js';
import { UserspaceMapper } from './backend/rbd/userspace-mapper.js';
import { clusterHealth } from './ceph/cluster-health.js';
import { Clusters } from './ceph/clusters.js';
import type { CephClient } from './ceph/client.js';
import { ConnectionPool } from './ceph/connection-pool.js';
import { kernelLog } from './ceph/native/kernel-log.js';
import { isKernelWriteUnderWay, kernelWriter } from './ceph/native/kernel-write.js';
import { leaveProcess } from './ceph/native/leave-process.js';
import { pathAttributes } from './ceph/native/path-attribute.js';
import { hostCluster, readClusterFile } from './config/cluster-file.js';
import { type HoldOptions, helpText, parseCommand, type ServeOptions } from './config/options.js';
import { watchClusters } from './config/watch-clusters.js';
import { controllerService } from './controller/controller-service.js';
import { csiNodes } from './controller/csi-nodes.js';
import { nodeDirectory } from './controller/node-directory.js';
import { controllerHandlers } from './csi/controller-handlers.js';
import { identityHandlers } from './csi/identity.js';
import { nodeHandlers } from './csi/node-handlers.js';
import { CsiServer } from './csi/server.js';
import { socketPathOf } from './platform/socket.js';
import type { BackendKind } from './domain/backend-kind.js';
import { isDriverError } from './domain/errors.js';
import { keysOf } from './domain/topology.js';
import { Holder } from './holder/holder.js';
import { nodeService } from './node/node-service.js';
import { nodeTopology } from './node/node-topology.js';
import { withDeadline } from './platform/deadline.js';
import { localDaemons } from './platform/daemons.js';
import { heldDaemons } from './platform/held-daemons.js';
import { runProgram } from './platform/exec.js';
import { KeyedLock } from './platform/keyed-lock.js';
import { kubernetesApiOf } from './platform/kubernetes-api.js';
import { createLogger, type Logger } from './platform/logger.js';
import { addStateMetrics, createMetrics } from './platform/metrics.js';
import { readiness } from './platform/readiness.js';
import type { ServedVolumes } from './platform/state-metrics.js';
import { serveStatus } from './platform/status-server.js';
import { version } from './platform/version.js';

const closeTimeoutMs = 3_000;

/** The program. @returns the exit code: 0, 1 (it failed while serving), 2 (it was called wrongly or can't start). */
export async function main(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  try {
    const command = parseCommand(args, environment);
    switch (command.name) {
      case 'help':
        process.stdout.write(helpText());
        return 0;
      case 'version':
        process.stdout.write(`${version}\n`);
        return 0;
      case 'serve':
        await serve(command.options, environment);
        return 0;
      case 'hold':
        await hold(command.options);
        return 0;
    }
  } catch (error) {
    if (!isDriverError(error)) throw error;
    process.stderr.write(`cuttle: ${error.message}\n`);
    return 2;
  }
}

async function serve(options: ServeOptions, environment: NodeJS.ProcessEnv): Promise<void> {
  const log = createLogger(options.logLevel);
  const socketPath = socketPathOf(options.endpoint);
  const configuration =
    options.configFile === undefined
      ? { clusters: [hostCluster(environment)], nodes: undefined }
      : await readClusterFile(options.configFile);
  const clusters = new Clusters(configuration.clusters);
  const configured = { clusters, nodes: configuration.nodes };
  const watch =
    options.configFile === undefined ? undefined : watchClusters(options.configFile, configuration, configured, log);
  // Two that live can't have the same endpoint on one node, and what restarts after a crash has it again.
  const sessionName = [options.driverName, options.nodeId, options.endpoint].join(' ');
  const ceph = new ConnectionPool({ log, sessionName });
  const metrics = createMetrics(version);
  const kubernetes = await kubernetesApiOf(environment);
  // A node on its own speaks for itself; where there is a controller, its clusters may have places, too.
  const ownKeys = [...Object.keys(options.topology), ...options.topologyLabels.map(({ key }) => key)];
  const clusterPlaces = () => clusters.all().flatMap(({ topology }) => topology);
  const topologyKeys = () => (options.role === 'node' ? ownKeys : [...ownKeys, ...keysOf(clusterPlaces())]);

  const controllers =
    options.role === 'node'
      ? undefined
      : controllerBackends(options, { clusters, ceph, log, count: metrics.background, topologyKeys });
  const nodes = options.role === 'controller' ? undefined : await nodeBackends(options, clusters, ceph);
  // Controller and node speak of the same volumes: in one process they share the lock.
  const lock = new KeyedLock();
  const server: CsiServer = new CsiServer({
    socketPath,
    log,
    metrics,
    identity: identityHandlers({
      driverName: options.driverName,
      version,
      ready: () => !server.draining,
      hasTopology: () => topologyKeys().length > 0,
    }),
    controller:
      controllers === undefined
        ? undefined
        : controllerHandlers(
            controllerService({
              backends: controllers,
              lock,
              nodes: nodeDirectory({
                own: options.role === 'all' ? options.nodeId : undefined,
                listed: () => configured.nodes,
                orchestrator:
                  kubernetes === undefined ? undefined : csiNodes({ driverName: options.driverName, api: kubernetes }),
              }),
              clusterReach: (clusterId) => clusters.find(clusterId)?.topology ?? [],
            }),
          ),
    node:
      nodes === undefined
        ? undefined
        : nodeHandlers(
            nodeService({
              backends: nodes.backends,
              lock,
              mounter: nodes.mounter,
              runDir: options.runDir,
              storageHealth: async (ctx, credentials) => clusterHealth(ctx, clusters, ceph, credentials),
              topology: nodeTopology({
                nodeId: options.nodeId,
                own: options.topology,
                labels: options.topologyLabels,
                api: kubernetes,
              }),
            }),
            options.nodeId,
          ),
  });
  const signalled = untilSignal(() => void watch?.reload());
  let isListening = false;
  addStateMetrics(metrics, {
    contacts: () => ceph.contacts(),
    configurationRefused: () => watch?.refusal !== undefined,
    ...(nodes === undefined ? {} : { served: async () => servedVolumes(options, nodes.mounter) }),
  });
  const statusPages = {
    registry: metrics.registry,
    readiness: () =>
      readiness({
        serving: () => isListening && !server.draining,
        refusal: () => watch?.refusal,
        clusters: () => clusters.all().map((cluster) => cluster.id),
        contacts: () => ceph.contacts(),
      }),
  };
  const statusServer =
    options.metricsAddress === undefined ? undefined : await serveStatus(statusPages, options.metricsAddress);
  await server.listen();
  isListening = true;
  log.info(
    { version, role: options.role, endpoint: options.endpoint, clusters: clusters.all().map((cluster) => cluster.id) },
    'serving',
  );
  for (const backend of controllers?.values() ?? []) backend.resumeBackgroundWork();

  const signal = await signalled;
  log.info({ signal }, 'shutting down');
  watch?.stop();
  await server.drain(options.shutdownGraceMs);
  for (const backend of controllers?.values() ?? []) await backend.close();
  statusServer?.close();
  await closeConnections(ceph, log);
  log.info('stopped');
  // exit(3) would wait for what waits in the kernel for a cluster that doesn't answer.
  if (isKernelWriteUnderWay()) leaveProcess(0);
}

async function hold({ endpoint, logLevel }: HoldOptions): Promise<void> {
  const log = createLogger(logLevel);
  const holder = new Holder({ socketPath: socketPathOf(endpoint), daemons: localDaemons, log });
  const signalled = untilSignal(() => undefined);
  await holder.listen();
  log.info({ version, endpoint }, 'holding');
  const signal = await signalled;
  log.info({ signal }, 'shutting down');
  await holder.close();
}

/** A cluster that does not answer holds nobody up: what hangs in it has been answered or given up by now. */
async function closeConnections(ceph: CephClient, log: Logger): Promise<void> {
  try {
    await withDeadline(ceph.close(), closeTimeoutMs, 'closing the connections to Ceph');
  } catch (error) {
    log.warn({ err: error }, 'stopped, with a call to Ceph still under way');
    leaveProcess(0);
  }
}

function controllerBackends(
  options: ServeOptions,
  deps: RbdControllerDependencies & CephfsControllerDependencies,
): Map<BackendKind, ControllerBackend> {
  const make = {
    rbd: () => new RbdController(deps),
    cephfs: () => new CephfsController(deps),
  } satisfies Record<BackendKind, () => ControllerBackend>;
  return new Map(options.backends.map((kind) => [kind, make[kind]()]));
}

async function nodeBackends(options: ServeOptions, clusters: Clusters, ceph: CephClient) {
  await mkdir(options.runDir, { recursive: true, mode: 0o700 });
  const exec = runProgram;
  const mounter = new Mounter({ exec });
  const daemons = options.holder === undefined ? localDaemons : heldDaemons(socketPathOf(options.holder));
  const formatter = new SafeFormatAndMount({ mounter, exec });
  const luks = new Luks({ exec });
  const encrypting = { luks, formatOf: async (device: string) => formatter.getDiskFormat(device) };
  const mappers = [
    new DmCryptMapper(new KrbdMapper({ exec, write: kernelWriter(), kernelLog }), encrypting),
    new DmCryptMapper(new NbdMapper({ exec, daemons }), encrypting),
    new UserspaceMapper({ exec, mounter, daemons, runDir: options.runDir, ...encrypting }),
  ];
  const cephfsMounters = [
    new KernelMounter({ exec, mounter, kernelLog }),
    new FuseMounter({ exec, mounter, daemons, socketDir: join(options.runDir, 'cephfs') }),
  ];
  const make = {
    rbd: () =>
      new RbdNode({
        clusters,
        ceph,
        nodeId: options.nodeId,
        mappers,
        mounter,
        formatter,
        resizeFs: new ResizeFs({ exec }),
        luks,
      }),
    cephfs: () =>
      new CephfsNode({
        clusters,
        ceph,
        nodeId: options.nodeId,
        mounter,
        mounters: cephfsMounters,
        attributes: pathAttributes,
      }),
  } satisfies Record<BackendKind, () => NodeBackend>;
  return { mounter, backends: new Map(options.backends.map((kind) => [kind, make[kind]()])) };
}

/** For the metrics: what of each backend this node serves, and by what. */
async function servedVolumes({ backends, runDir }: ServeOptions, mounter: Mounter): Promise<ServedVolumes[]> {
  const counts = {
    rbd: async () => mappedImages({ runDir }),
    cephfs: async () => mountedDirectories(await mounter.list()),
  } satisfies Record<BackendKind, () => Promise<ReadonlyMap<string, number>>>;
  const found = await Promise.all(
    backends.map(async (backend) =>
      [...(await counts[backend]())].map(([kind, volumes]) => ({ backend, kind, volumes })),
    ),
  );
  return found.flat();
}

async function untilSignal(onHangUp: () => void): Promise<NodeJS.Signals> {
  process.on('SIGHUP', onHangUp);
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        resolve(signal);
      });
  });
}
