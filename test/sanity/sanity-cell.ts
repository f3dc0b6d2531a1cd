import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Row } from '../../scripts/testing/results.js';
import { csi } from '../../src/csi/gen/csi.js';
import type { TestCluster } from '../harness/cluster.js';
import { documentedCaps } from '../harness/documented-users.js';
import { call, type Driver } from '../harness/driver.js';
import { type Cell, nameOf } from './cell.js';
import { readReport } from './sanity-report.js';

/** The processes that serve a cell; with roles together both are the same. */
export interface Drivers {
  readonly controller: Driver;
  readonly node: Driver;
}

/** Starts them for one cell, with everything of theirs below a directory. */
export type StartDrivers = (directory: string, cluster: TestCluster, cell: Cell) => Promise<Drivers>;

export interface CellOptions {
  /** What stands before the cell's name in the table. */
  readonly title: string;
  /** The directory of a run is made in it. */
  readonly parent: string;
  readonly start: StartDrivers;
  /** Five minutes unless said. */
  readonly timeoutMs?: number;
}

/** One for the controller's RPCs and one for the node's, as docs/cephx.md has them. */
const sanityUsers = { controller: 'cuttle-sanity-controller', node: 'cuttle-sanity-node' } as const;

/** Takes away what the cells have made in a cluster. */
export async function removeSanityUsers(cluster: TestCluster): Promise<void> {
  for (const user of Object.values(sanityUsers)) await cluster.removeUser(user);
}

const cellTimeoutMs = 300_000;

/** With split roles the requests bring restricted users' keys; together the driver's own credentials are used. */
async function writeInputs(directory: string, cluster: TestCluster, cell: Cell): Promise<string[]> {
  const parameters = join(directory, 'parameters.yaml');
  const place = cell.backend === 'rbd' ? `pool: ${cluster.rbdPool}` : `fsName: ${cluster.fsName}`;
  const mounter = cell.mounter === undefined ? '' : `mounter: ${cell.mounter}\n`;
  await writeFile(parameters, `backend: ${cell.backend}\nclusterID: default\n${place}\n${mounter}`);
  const mutable = join(directory, 'mutable.yaml');
  await writeFile(mutable, cell.backend === 'rbd' ? 'qosIopsLimit: 100k\nqosBpsLimit: 1Gi\n' : 'maxFiles: 10k\n');
  const flags = ['--csi.testvolumeparameters', parameters, '--csi.testvolumemutableparameters', mutable];
  if (!cell.split) return flags;
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
  const kind = cell.backend === 'rbd' ? 'RBD' : 'CephFS';
  const keys = new Map<string, string>();
  for (const role of ['controller', 'node'] as const) {
    // The cell with the roles together has made the group's directory.
    const caps = documentedCaps(role, kind, { pool: cluster.rbdPool, fsName: cluster.fsName });
    await cluster.removeUser(sanityUsers[role]);
    keys.set(role, await cluster.createUser(sanityUsers[role], { ...caps }));
  }
  const lines = rpcs.map((rpc) => {
    const role = rpc.startsWith('Node') ? 'node' : 'controller';
    return `${rpc}Secret:\n  userID: ${sanityUsers[role]}\n  userKey: ${keys.get(role) ?? ''}\n`;
  });
  await writeFile(secrets, lines.join(''), { mode: 0o600 });
  return [...flags, '--csi.secrets', secrets];
}

async function advertised({ controller, node }: Drivers): Promise<Set<string | undefined>> {
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

export async function runCell(cell: Cell, cluster: TestCluster, options: CellOptions): Promise<Row> {
  const startMs = performance.now();
  const title = nameOf(cell, options.title);
  const { timeoutMs = cellTimeoutMs } = options;
  const directory = await mkdtemp(join(options.parent, 'sanity-'));
  const drivers = await options.start(directory, cluster, cell);
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
      stage: title,
      passed: outcome.passed,
      failed: failures.length,
      skipped: skips.length,
      seconds: (performance.now() - startMs) / 1000,
      skips,
    };
  } finally {
    for (const driver of new Set([drivers.controller, drivers.node])) await driver.stop();
    for (const failure of failures) console.log(`  FAILED ${title}: ${failure}`);
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
