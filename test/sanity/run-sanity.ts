import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { type Row, writeRows } from '../../scripts/testing/results.js';
import { csi } from '../../src/csi/gen/csi.js';
import { type TestCluster, useCluster } from '../harness/cluster.js';
import { call, clusterYaml, type Driver, startDriver } from '../harness/driver.js';
import { readReport } from './sanity-report.js';

/** One run of the whole of csi-sanity: no spec is filtered out. */
interface Cell {
  readonly accessType: 'mount' | 'block';
  /** Controller and node in processes of their own, as a cluster runs them. */
  readonly split: boolean;
}

const cells: readonly Cell[] = [
  { accessType: 'mount', split: false },
  { accessType: 'mount', split: true },
  { accessType: 'block', split: false },
  { accessType: 'block', split: true },
];

const user = 'cuttle-sanity';
const cellTimeoutMs = 300_000;

function nameOf(cell: Cell): string {
  return `csi-sanity rbd ${cell.accessType}, roles ${cell.split ? 'split' : 'together'}`;
}

/** With split roles the requests bring a restricted user's key; together the driver's own credentials are used. */
async function writeInputs(directory: string, cluster: TestCluster, cell: Cell): Promise<string[]> {
  const parameters = join(directory, 'parameters.yaml');
  await writeFile(parameters, `clusterID: default\npool: ${cluster.rbdPool}\n`);
  if (!cell.split) return ['--csi.testvolumeparameters', parameters];
  const key = await cluster.createUser(user, {
    mon: 'profile rbd',
    osd: `profile rbd pool=${cluster.rbdPool}`,
    mgr: 'profile rbd',
  });
  const secrets = join(directory, 'secrets.yaml');
  const rpcs = [
    'CreateVolume',
    'DeleteVolume',
    'ControllerPublishVolume',
    'ControllerUnpublishVolume',
    'ControllerValidateVolumeCapabilities',
    'NodeStageVolume',
    'NodePublishVolume',
  ];
  await writeFile(secrets, rpcs.map((rpc) => `${rpc}Secret:\n  userID: ${user}\n  userKey: ${key}\n`).join(''), {
    mode: 0o600,
  });
  return ['--csi.testvolumeparameters', parameters, '--csi.secrets', secrets];
}

async function startDrivers(
  directory: string,
  cluster: TestCluster,
  cell: Cell,
): Promise<{ controller: Driver; node: Driver }> {
  const config = clusterYaml(cluster);
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
  return new Set([
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
    failures.push(...(await leftovers(cluster, directory)));
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

/** Nothing may be left: no image of ours, no mount, no loop device. */
async function leftovers(cluster: TestCluster, directory: string): Promise<string[]> {
  const images = (await cluster.rbd(['ls', cluster.rbdPool])).split('\n').filter((name) => name.startsWith('csi-vol-'));
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .filter((line) => line.includes(directory));
  return [
    ...images.map((image) => `image ${image} is left in the pool`),
    ...mounts.map((line) => `a mount is left: ${line}`),
  ];
}

const cluster = await useCluster();
const rows: Row[] = [];
try {
  for (const cell of cells) rows.push(await runCell(cell, cluster));
} finally {
  await cluster.removeUser(user);
  await cluster.stop();
}
await writeRows('sanity', rows);
for (const { stage, passed, failed, skipped, seconds } of rows) {
  console.log(`  ${stage}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${seconds.toFixed(1)} s`);
}
process.exitCode = rows.some((row) => row.failed > 0) ? 1 : 0;
