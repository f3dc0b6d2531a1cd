import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { buildImage, image } from '../image/build-image.js';
import { Podman } from '../image/podman.js';
import type { ContainerRuntime } from './cluster/container-runtime.js';
import { programImage } from './cluster/image.js';
import { at, textAt } from './cluster/kinds.js';
import { chart } from './installed-by-chart.js';

/** The chart's sidecars and the programs that they are built as. */
const programs = {
  provisioner: 'csi-provisioner',
  attacher: 'csi-attacher',
  resizer: 'csi-resizer',
  snapshotter: 'csi-snapshotter',
  registrar: 'registrar',
  livenessProbe: 'livenessprobe',
} as const;

/**
 * Builds Cuttle's image and gives it to the cluster, and the sidecars under the names that the chart has for them: a cluster that can
 * pull nothing.
 * @param tools the directory that scripts/lib/setup-e2e fills.
 * @param directory a place for archives.
 */
export async function provideImages(runtime: ContainerRuntime, tools: string, directory: string): Promise<void> {
  const values: unknown = parse(await readFile(join(chart, 'values.yaml'), 'utf8'));
  for (const [sidecar, program] of Object.entries(programs)) {
    const name = textAt(at(values, 'sidecars', sidecar), 'image');
    await runtime.add(programImage(name, join(tools, 'sidecars', program)));
  }
  const archive = join(directory, 'cuttle.tar');
  const podman = new Podman(join('.cache', 'image'));
  try {
    await buildImage(podman);
    await podman.save(image, archive);
  } finally {
    await podman.close();
  }
  await runtime.import(archive);
  await rm(archive);
}
