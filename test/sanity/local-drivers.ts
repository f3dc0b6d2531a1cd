import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestCluster } from '../harness/cluster.js';
import { clusterYaml, startDriver } from '../harness/driver.js';
import type { Cell } from './cell.js';
import type { CellOptions, Drivers } from './sanity-cell.js';

/**
 * Where the only node is: csi-sanity asks for volumes and snapshots there. The cluster is reached from everywhere, because csi-sanity 5.6.0
 * passes no driver that says from where a snapshot is reached: it compares what it has received with what it has sent by all fields of the Go
 * objects, cached sizes included (ADR 0022).
 */
export const topology = ['--topology', 'topology.cuttle.dev/zone=a'];

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

/** Drivers of this tree, on this machine. */
export const localCells: CellOptions = { title: 'csi-sanity', parent: tmpdir(), start: startDrivers };
