import { join } from 'node:path';
import { version } from '../../src/platform/version.js';
import type { Podman } from './podman.js';

/** The image as the chart names it when no registry stands in front. */
export const repository = 'localhost/cuttle';
export const image = `${repository}:${version}`;
/** The name in the Dockerfile's FROM. */
const base = 'docker.io/library/debian:trixie-slim';

/** Builds the image of the Dockerfile for real, on a base made of Debian's packages, and says what is large in it. */
export async function buildImage(podman: Podman): Promise<void> {
  const startMs = performance.now();
  if (!(await podman.has(base))) await podman.import(baseArchive(), base);
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

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function baseArchive(): string {
  const path = process.env.CUTTLE_IMAGE_BASE;
  if (path === undefined || path === '') throw new Error('CUTTLE_IMAGE_BASE is not set: scripts/run sets it');
  return path;
}
