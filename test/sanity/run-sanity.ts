import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { type Row, writeRows } from '../../scripts/testing/results.js';
import { csi } from '../../src/csi/gen/csi.js';
import type { BackendKind } from '../../src/domain/backend-kind.js';
import { isClusterNamed, type TestCluster, useCluster } from '../harness/cluster.js';
import { call, clusterYaml, type Driver, startDriver } from '../harness/driver.js';
import { readReport } from './sanity-report.js';

/** One run of the whole of csi-sanity: no spec is filtered out. */
interface Cell {
  readonly backend: BackendKind;
  readonly accessType: 'mount' | 'block';
  /** Controller and node in processes of their own, as a cluster runs them. */
  readonly split: boolean;
}

/** The driver serves both backends in each of them. */
const cells: readonly Cell[] = [
  { backend: 'rbd', accessType: 'mount', split: false },
  { backend: 'rbd', accessType: 'mount', split: true },
  { backend: 'rbd', accessType: 'block', split: false },
  { backend: 'rbd', accessType: 'block', split: true },
  { backend: 'cephfs', accessType: 'mount', split: false },
  { backend: 'cephfs', accessType: 'mount', split: true },
];

const users: Readonly<Record<BackendKind, string>> = { rbd: 'cuttle-sanity-rbd', cephfs: 'cuttle-sanity-cephfs' };
const group = '/volumes/csi';
const cellTimeoutMs = 300_000;
/**
 * Where the only node is: csi-sanity asks for volumes and snapshots there. The cluster is reached from everywhere, because csi-sanity 5.6.0
 * passes no driver that says from where a snapshot is reached: it compares what it has received with what it has sent by all fields of the Go
 * objects, cached sizes included (ADR 0022).
 */
const topology = ['--topology', 'topology.cuttle.dev/zone=a'];

function nameOf(cell: Cell): string {
  return `csi-sanity ${cell.backend} ${cell.accessType}, roles ${cell.split ? 'split' : 'together'}`;
}

/** With split roles the requests bring a restricted user's key; together the driver's own credentials are used. */
async function writeInputs(directory: string, cluster: TestCluster, cell: Cell): Promise<string[]> {
  const parameters = join(directory, 'parameters.yaml');
  const place = cell.backend === 'rbd' ? `pool: ${cluster.rbdPool}` : `fsName: ${cluster.fsName}`;
  await writeFile(parameters, `backend: ${cell.backend}\nclusterID: default\n${place}\n`);
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
  const args = topology;
  if (!cell.split) {
    const driver = await startDriver({ directory: join(directory, 'all'), config, args });
    return { controller: driver, node: driver };
  }
  return {
    controller: await startDriver({ directory: join(directory, 'controller'), config, role: 'controller', args }),
    node: await startDriver({ directory: join(directory, 'node'), config, role: 'node', args }),
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

async function runCell(cell: Cell, cluster: TestCluster): Promise<Row> {
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
      { reject: false, timeout: cellTimeoutMs, all: true },
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

/** Lists are counted, so that cells that run at the same time have a cluster each; one that somebody has named takes them in turn. */
const lanes = isClusterNamed() ? [cells] : [cells.slice(0, 2), cells.slice(2, 4), cells.slice(4)];
const rows = (await Promise.all(lanes.map(runLane))).flat();
await writeRows('sanity', rows);
for (const { stage, passed, failed, skipped, seconds } of rows) {
  console.log(`  ${stage}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${seconds.toFixed(1)} s`);
}
process.exitCode = rows.some((row) => row.failed > 0) ? 1 : 0;

async function runLane(own: readonly Cell[]): Promise<Row[]> {
  const cluster = await useCluster();
  const rows: Row[] = [];
  try {
    for (const cell of own) rows.push(await runCell(cell, cluster));
  } finally {
    for (const user of Object.values(users)) await cluster.removeUser(user);
    await cluster.stop();
  }
  return rows;
}
