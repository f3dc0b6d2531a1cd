import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Row, writeRows } from '../../scripts/testing/results.js';
import { isClusterNamed, type TestCluster, useCluster } from '../harness/cluster.js';
import { clusterYaml, startDriver } from '../harness/driver.js';
import { type Cell, type Drivers, removeSanityUsers, runCell } from './sanity-cell.js';

/** The driver serves both backends in each of them. */
const cells: readonly Cell[] = [
  { backend: 'rbd', accessType: 'mount', split: false },
  { backend: 'rbd', accessType: 'mount', split: true },
  { backend: 'rbd', accessType: 'block', split: false },
  { backend: 'rbd', accessType: 'block', split: true },
  { backend: 'cephfs', accessType: 'mount', split: false },
  { backend: 'cephfs', accessType: 'mount', split: true },
];

/**
 * Where the only node is: csi-sanity asks for volumes and snapshots there. The cluster is reached from everywhere, because csi-sanity 5.6.0
 * passes no driver that says from where a snapshot is reached: it compares what it has received with what it has sent by all fields of the Go
 * objects, cached sizes included (ADR 0022).
 */
const topology = ['--topology', 'topology.cuttle.dev/zone=a'];

async function startDrivers(directory: string, cluster: TestCluster, cell: Cell): Promise<Drivers> {
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

const options = { title: 'csi-sanity', parent: tmpdir(), start: startDrivers };

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
    for (const cell of own) rows.push(await runCell(cell, cluster, options));
  } finally {
    await removeSanityUsers(cluster);
    await cluster.stop();
  }
  return rows;
}
