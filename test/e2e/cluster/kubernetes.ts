import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { findLeftovers, removeLeftovers } from '../../../scripts/testing/leftovers.js';
import type { Api } from './api.js';
import { removeShimSockets, startContainerRuntime } from './container-runtime.js';
import { type ControlGroup, makeControlGroup } from './control-groups.js';
import { type ControlPlane, startControlPlane } from './control-plane.js';
import { clearFixedPlaces, refuseKubernetesNode } from './fixed-places.js';
import { startKubelet } from './kubelet.js';
import { mark, Programs } from './programs.js';

/** A Kubernetes cluster of one node, on this machine's loopback. */
export interface Kubernetes {
  readonly api: Api;
  readonly controlPlane: ControlPlane;
  readonly nodeName: string;
  /** Everything of the cluster is below. */
  readonly directory: string;
  readonly kubeletDirectory: string;
  readonly programs: Programs;
  /** Ends everything, whatever state it is in. */
  stop(): Promise<void>;
}

const nodeName = 'e2e-node';

/**
 * @param tools the directory that scripts/lib/setup-e2e fills.
 * @param logs a directory for the programs' logs; those of an earlier run are overwritten.
 */
export async function startKubernetes(tools: string, logs: string, signal: AbortSignal): Promise<Kubernetes> {
  refuseKubernetesNode();
  // Short, because a socket's path has at most 107 bytes.
  const directory = await mkdtemp(join(tmpdir(), 'e2e-'));
  await rm(logs, { recursive: true, force: true });
  const programs = new Programs(directory, logs);
  let controlGroup: ControlGroup | undefined;
  const stop = async (): Promise<void> => {
    await takeDown(directory, programs, controlGroup);
  };
  try {
    controlGroup = await makeControlGroup(`cuttle-e2e-${randomBytes(4).toString('hex')}`);
    const bin = join(tools, 'kubernetes');
    const common = { directory, bin, programs, signal };
    // One after the other: what fails leaves nothing behind that is still starting.
    const runtime = await startContainerRuntime(common);
    const controlPlane = await startControlPlane(common);
    const kubeletDirectory = await startKubelet({ ...common, nodeName, controlPlane, runtime, controlGroup });
    return { api: controlPlane.api, controlPlane, nodeName, directory, kubeletDirectory, programs, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function takeDown(directory: string, programs: Programs, controlGroup: ControlGroup | undefined): Promise<void> {
  await programs.endAll();
  await controlGroup?.remove();
  // What outlives those that started it: containerd's shims, ceph-fuse, qemu-storage-daemon, and what they have mounted.
  for (let tries = 0; tries < 5 && (await findLeftovers(directory, mark)).length > 0; tries++) {
    await removeLeftovers(directory, mark);
  }
  await removeShimSockets(directory);
  await clearFixedPlaces(directory);
  // Never into a mount that would not go.
  await execa('rm', ['-rf', '--one-file-system', '--', directory], { reject: false });
}
