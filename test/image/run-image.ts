import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { type Row, writeRows } from '../../scripts/testing/results.js';
import { type TestCluster, useCluster } from '../harness/cluster.js';
import type { Cell } from '../sanity/cell.js';
import { removeSanityUsers, runCell } from '../sanity/sanity-cell.js';
import { buildImage, image } from './build-image.js';
import { startContainers } from './image-drivers.js';
import { inspectImage } from './inspect-image.js';
import { Podman } from './podman.js';

/*
 * Builds the image of the Dockerfile for real, on a base made of Debian's packages, looks at what is in it, and runs csi-sanity against
 * the driver in containers of it. The store of images is kept below .cache, so that the next build begins where this one ended.
 */

const cells: readonly Cell[] = [
  { backend: 'rbd', accessType: 'mount', split: true },
  { backend: 'rbd', accessType: 'block', split: true },
  { backend: 'cephfs', accessType: 'mount', split: true },
];

const help = `npm run test:image -- [--only NAME]

  --only NAME  csi-sanity for rbd or cephfs alone
`;
const { values } = parseArgs({ options: { only: { type: 'string', default: '' }, help: { type: 'boolean' } } });
if (values.help === true) console.log(help);
else process.exitCode = await main();

async function main(): Promise<number> {
  const podman = new Podman(join('.cache', 'image'));
  const rows: Row[] = [];
  try {
    await buildImage(podman);
    rows.push(await inspectImage(podman, image));
    rows.push(...(await sanity(podman)));
  } finally {
    await podman.close();
  }
  await writeRows('image', rows);
  for (const { stage, passed, failed, skipped, seconds } of rows)
    console.log(`  ${stage}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${seconds.toFixed(1)} s`);
  return rows.some((row) => row.failed > 0) ? 1 : 0;
}

async function sanity(podman: Podman): Promise<Row[]> {
  const cluster = await useCluster();
  const shared = await mkdtemp(join(tmpdir(), 'image-'));
  // A mount of its own, so that it can be shared whatever the root is.
  await execa('mount', ['--bind', shared, shared]);
  try {
    await execa('mount', ['--make-rshared', shared]);
    return await runCells(podman, cluster, shared);
  } finally {
    await execa('umount', ['--recursive', '--lazy', shared], { reject: false });
    await rm(shared, { recursive: true, force: true });
    await removeSanityUsers(cluster);
    await cluster.stop();
  }
}

async function runCells(podman: Podman, cluster: TestCluster, shared: string): Promise<Row[]> {
  // Whose key is restricted to the group can't make it.
  await cluster.ceph(['fs', 'subvolumegroup', 'create', cluster.fsName, 'csi']);
  const rows: Row[] = [];
  for (const cell of cells.filter(({ backend }) => backend.includes(values.only)))
    rows.push(
      await runCell(cell, cluster, {
        title: 'csi-sanity in the image',
        parent: shared,
        start: async (directory) => startContainers(podman, image, directory, cluster),
      }),
    );
  return rows;
}
