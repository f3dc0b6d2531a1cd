import { type Row, writeRows } from '../../scripts/testing/results.js';
import { isClusterNamed, useCluster } from '../harness/cluster.js';
import type { Cell } from './cell.js';
import { localCells } from './local-drivers.js';
import { removeSanityUsers, runCell } from './sanity-cell.js';

/** The driver serves both backends in each of them. */
const cells: readonly Cell[] = [
  { backend: 'rbd', accessType: 'mount', split: false },
  { backend: 'rbd', accessType: 'mount', split: true },
  { backend: 'rbd', accessType: 'block', split: false },
  { backend: 'rbd', accessType: 'block', split: true },
  { backend: 'cephfs', accessType: 'mount', split: false },
  { backend: 'cephfs', accessType: 'mount', split: true },
];

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
    for (const cell of own) rows.push(await runCell(cell, cluster, localCells));
  } finally {
    await removeSanityUsers(cluster);
    await cluster.stop();
  }
  return rows;
}
