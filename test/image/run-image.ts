import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { type Row, writeRows } from '../../scripts/testing/results.js';
import { version } from '../../src/platform/version.js';
import { type TestCluster, useCluster } from '../harness/cluster.js';
import type { Cell } from '../sanity/cell.js';
import { removeSanityUsers, runCell } from '../sanity/sanity-cell.js';
import { startContainers } from './image-drivers.js';
import { inspectImage } from './inspect-image.js';
import { Podman } from './podman.js';

/*
 * Builds the image of the Dockerfile for real, on a base made of Debian's packages, looks at what is in it, and runs csi-sanity against
 * the driver in containers of it. The store of images is kept below .cache, so that the next build begins where this one ended.
 */

const image = `cuttle:${version}`;
/** The name in the Dockerfile's FROM. */
const base = 'docker.io/library/debian:trixie-slim';

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
    await build(podman);
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

async function build(podman: Podman): Promise<void> {
  const startMs = performance.now();
  if (!(await podman.has(base))) await podman.import(required('CUTTLE_IMAGE_BASE'), base);
  await podman.build(image, secrets());
  const { bytes, layers } = await podman.sizes(image);
  console.log(`  built ${image} in ${((performance.now() - startMs) / 1000).toFixed(1)} s: ${megabytes(bytes)}`);
  for (const layer of layers) console.log(`    ${megabytes(layer.bytes).padStart(9)}  ${layer.by.slice(0, 100)}`);
}

/** npm's settings of this machine's user, and the certificate authorities that it trusts: where packages come from is nothing of the image's. */
function secrets(): Record<string, string> {
  const npmrc = process.env.NPM_CONFIG_USERCONFIG ?? join(process.env.HOME ?? '/root', '.npmrc');
  return { npmrc, ca: process.env.NODE_EXTRA_CA_CERTS ?? '/etc/ssl/certs/ca-certificates.crt' };
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

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set: run this by npm run test:image`);
  return value;
}
