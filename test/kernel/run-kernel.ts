import { cp, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Row, writeRows } from '../../scripts/testing/results.js';
import { isClusterNamed, type TestCluster, useCluster } from '../harness/cluster.js';
import { type LaneSite, runLane } from './lane.js';
import { type Boot, planBoots, planLanes } from './plan.js';

/*
 * The kernel's own rbd, nbd and CephFS, in a virtual machine whose root is this machine's and whose kernel is Debian's: the host's
 * may have none of these modules. The guest runs the driver and its tests; the cluster stays outside.
 */

const logs = join('.cache', 'logs');
const smokeMinutes = 4;
const wholeMinutes = 27;

const help = `npm run test:kernel -- [--smoke | --only NAME] [--minutes N]

  --smoke      stage, write, unstage, restage through krbd and the kernel's CephFS; under 5 minutes
  --only NAME  what has this in its name, e.g. krbd, sanity, or outage,reset
  --minutes N  how long the virtual machines may take (27; with --smoke 4)

The whole is done by two machines at once, each with a cluster of its own; a part of it, or the whole on the cluster that
CUTTLE_TEST_CEPH_CONF names, by one.
`;
const { values } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    minutes: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (values.help === true) console.log(help);
else process.exitCode = await main();

async function main(): Promise<number> {
  const endMs = Date.now() + Number(values.minutes ?? (values.smoke ? smokeMinutes : wholeMinutes)) * 60_000;
  const isWhole = !values.smoke && values.only === '' && !isClusterNamed();
  const lanes = isWhole ? await planLanes() : [await planBoots(values.smoke ? '-smoke' : values.only)];
  // More than this machine has would wait for each other's locks.
  const processors = Math.max(1, Math.floor(availableParallelism() / lanes.length));
  const ends = await Promise.allSettled(lanes.map(async (boots, i) => onCluster(boots, i, { processors, endMs })));
  const rows = ends.flatMap((end) => (end.status === 'fulfilled' ? end.value : [notBegun(end.reason)]));
  await writeRows('kernel', rows);
  return rows.some((row) => row.failed > 0) ? 1 : 0;
}

/** Without its cluster, say; the other machine is not left to itself for that. */
function notBegun(reason: unknown): Row {
  console.error(reason);
  return { stage: 'kernel: a virtual machine', passed: 0, failed: 1, skipped: 0, seconds: 0 };
}

/** What the daemons have said; it would go with the cluster. */
async function keepLogs({ confPath }: TestCluster, directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await cp(join(dirname(confPath), 'log'), directory, { recursive: true });
  console.log(`  the logs of Ceph are in ${directory}`);
}

async function onCluster(
  boots: readonly Boot[],
  index: number,
  limits: Pick<LaneSite, 'processors' | 'endMs'>,
): Promise<Row[]> {
  const lane = index === 0 ? '' : `-${index + 1}`;
  const consoleLog = join(logs, `kernel-console${lane}.log`);
  const cluster = await useCluster();
  try {
    const rows = await runLane(boots, { cluster, consoleLog, ...limits });
    if (cluster.owned && rows.some((row) => row.failed > 0)) await keepLogs(cluster, join(logs, `kernel-ceph${lane}`));
    return rows;
  } finally {
    await cluster.stop();
  }
}
