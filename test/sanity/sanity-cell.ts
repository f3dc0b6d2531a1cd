import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Row } from '../../scripts/testing/results.js';
import { csi } from '../../src/csi/gen/csi.js';
import type { BackendKind } from '../../src/domain/backend-kind.js';
import type { TestCluster } from '../harness/cluster.js';
import { call, clusterYaml, type Driver, startDriver } from '../harness/driver.js';
import { type Cell, nameOf } from './cell.js';
import { readReport } from './sanity-report.js';

const users: Readonly<Record<BackendKind, string>> = { rbd: 'cuttle-sanity-rbd', cephfs: 'cuttle-sanity-cephfs' };
const group = '/volumes/csi';

/** With split roles the requests bring a restricted user's key; together the driver's own credentials are used. */
async function writeInputs(directory: string, cluster: TestCluster, cell: Cell): Promise<string[]> {
  const parameters = join(directory, 'parameters.yaml');
  const place = cell.backend === 'rbd' ? `pool: ${cluster.rbdPool}` : `fsName: ${cluster.fsName}`;
  const mounter = cell.mounter === undefined ? '' : `mounter: ${cell.mounter}\n`;
  await writeFile(parameters, `backend: ${cell.backend}\nclusterID: default\n${place}\n${mounter}`);
  const mutable = join(directory, 'mutable.yaml');
  await writeFile(mutable, cell.backend === 'rbd' ? 'qosIopsLimit: 100k\nqosBpsLimit: 1Gi\n' : 'maxFiles: 10k\n');
  const flags = ['--csi.testvolumeparameters', parameters, '--csi.testvolumemutableparameters', mutable];
  if (!cell.split) return flags;
  const user = users[cell.backend];
  const key = await cluster.createUser(user, capabilities(cluster, cell.backend));
  const secrets = join(directory, 'secrets.yaml');
  const rpcs = [
    'CreateVolume',
    'DeleteVolume',
    'ControllerPublishVolume',
    'ControllerUnpublishVolume',
    'ControllerExpandVolume',
    'ControllerModifyVolume',
    'CreateSnapshot',
    'DeleteSnapshot',
    'ListSnapshots',
    'ControllerValidateVolumeCapabilities',
    'NodeStageVolume',
    'NodePublishVolume',
  ];
  await writeFile(secrets, rpcs.map((rpc) => `${rpc}Secret:\n  userID: ${user}\n  userKey: ${key}\n`).join(''), {
    mode: 0o600,
  });
  return [...flags, '--csi.secrets', secrets];
}

function capabilities(cluster: TestCluster, backend: BackendKind): Readonly<Record<string, string>> {
  if (backend === 'rbd') return { mon: 'profile rbd', osd: `profile rbd pool=${cluster.rbdPool}`, mgr: 'profile rbd' };
  // The cell with the roles together has made the group's directory.
  return { mon: 'allow r', mds: `allow rwps path=${group}`, osd: `allow rw tag cephfs data=${cluster.fsName}` };
}

async function startDrivers(
  directory: string,
  cluster: TestCluster,
  cell: Cell,
): Promise<{ controller: Driver; node: Driver }> {
  // A controller on its own knows the nodes by its configuration; csi-sanity asks for one that isn't there, too.
  const config = `nodes: [test-node]\n${clusterYaml(cluster)}`;
  if (!cell.split) {
    const driver = await startDriver({ directory: join(directory, 'all'), config });
    return { controller: driver, node: driver };
  }
  return {
    controller: await startDriver({ directory: join(directory, 'controller'), config, role: 'controller' }),
    node: await startDriver({ directory: join(directory, 'node'), config, role: 'node' }),
  };
}

async function advertised({
  controller,
  node,
}: {
  controller: Driver;
  node: Driver;
}): Promise<Set<string | undefined>> {
  const controllers = await call<csi.v1.ControllerGetCapabilitiesResponse>((done) =>
    controller.controller.ControllerGetCapabilities(new csi.v1.ControllerGetCapabilitiesRequest(), done),
  );
  const nodes = await call<csi.v1.NodeGetCapabilitiesResponse>((done) =>
    node.node.NodeGetCapabilities(new csi.v1.NodeGetCapabilitiesRequest(), done),
  );
  const plugin = await call<csi.v1.GetPluginCapabilitiesResponse>((done) =>
    controller.identity.GetPluginCapabilities(new csi.v1.GetPluginCapabilitiesRequest(), done),
  );
  const info = await call<csi.v1.NodeGetInfoResponse>((done) =>
    node.node.NodeGetInfo(new csi.v1.NodeGetInfoRequest(), done),
  );
  return new Set([
    ...(BigInt(info.max_volumes_per_node) > 0n ? ['max_volumes_per_node'] : []),
    ...controllers.capabilities.map((one) => csi.v1.ControllerServiceCapability.RPC.Type[one.rpc?.type ?? 0]),
    ...nodes.capabilities.map((one) => `node ${csi.v1.NodeServiceCapability.RPC.Type[one.rpc?.type ?? 0]}`),
    ...plugin.capabilities.map((one) => csi.v1.PluginCapability.Service.Type[one.service?.type ?? 0]),
  ]);
}

/** Its driver, or drivers, are started for it and stopped; what fails is said on screen. */
export async function runCell(cell: Cell, cluster: TestCluster, timeoutMs = 300_000): Promise<Row> {
  const startMs = performance.now();
  const directory = await mkdtemp(join(tmpdir(), 'sanity-'));
  const drivers = await startDrivers(directory, cluster, cell);
  const failures: string[] = [];
  try {
    const report = join(directory, 'report.json');
    const run = await execa(
      process.env.CUTTLE_CSI_SANITY ?? 'csi-sanity',
      [
        ...['--csi.endpoint', `unix://${drivers.node.socketPath}`],
        ...(cell.split ? ['--csi.controllerendpoint', `unix://${drivers.controller.socketPath}`] : []),
        ...['--csi.mountdir', join(directory, 'mount'), '--csi.stagingdir', join(directory, 'staging')],
        ...['--csi.testvolumeaccesstype', cell.accessType],
        ...(await writeInputs(directory, cluster, cell)),
        ...['--ginkgo.json-report', report, '--ginkgo.no-color'],
      ],
      { reject: false, timeout: timeoutMs, all: true },
    );
    const outcome = readReport(await readFile(report, 'utf8').catch(() => '[]'), await advertised(drivers));
    failures.push(...outcome.failures);
    if (run.exitCode !== 0 && outcome.failures.length === 0)
      failures.push(`csi-sanity ended with ${String(run.exitCode)}`);
    if (failures.length > 0) console.log(`${run.shortMessage ?? ''}\n${run.all.slice(-1500)}`);
    failures.push(...(await leftovers(cluster, directory, drivers.controller)));
    const skips = [...outcome.skips].flatMap(([reason, count]) => Array<string>(count).fill(`csi-sanity: ${reason}`));
    return {
      stage: nameOf(cell),
      passed: outcome.passed,
      failed: failures.length,
      skipped: skips.length,
      seconds: (performance.now() - startMs) / 1000,
      skips,
    };
  } finally {
    for (const driver of new Set(Object.values(drivers))) await driver.stop();
    for (const failure of failures) console.log(`  FAILED ${nameOf(cell)}: ${failure}`);
    if (failures.length === 0) await rm(directory, { recursive: true, force: true });
    else console.log(`  the drivers' logs are kept in ${directory}`);
  }
}

/** Nothing may be left: no volume of ours, no mount, no daemon. */
async function leftovers(cluster: TestCluster, directory: string, drivers: Driver): Promise<string[]> {
  const images = (await cluster.rbd(['ls', cluster.rbdPool])).split('\n').filter((name) => name.startsWith('csi-vol-'));
  const listed = await call<csi.v1.ListVolumesResponse>((done) =>
    drivers.controller.ListVolumes(new csi.v1.ListVolumesRequest(), done),
  );
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .filter((line) => line.includes(directory));
  return [
    ...images.map((image) => `image ${image} is left in the pool`),
    ...listed.entries.map((entry) => `volume ${entry.volume?.volume_id ?? ''} is left`),
    ...mounts.map((line) => `a mount is left: ${line}`),
  ];
}

/** The restricted users that cells have made. */
export async function removeUsers(cluster: TestCluster): Promise<void> {
  for (const user of Object.values(users)) await cluster.removeUser(user);
}
