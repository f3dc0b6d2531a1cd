import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readlink, rm, rmdir, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findLeftovers, removeLeftovers } from '../../../scripts/testing/leftovers.js';
import type { Api } from './api.js';
import { removeShimSockets, startContainerRuntime } from './container-runtime.js';
import { type ControlGroup, makeControlGroup } from './control-groups.js';
import { type ControlPlane, startControlPlane } from './control-plane.js';
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
/** Links that kubelet makes there, whatever its configuration says. */
const containerLogs = '/var/log/containers';

/** @param tools the directory that scripts/lib/setup-e2e fills. */
export async function startKubernetes(tools: string, signal: AbortSignal): Promise<Kubernetes> {
  // Short, because a socket's path has at most 107 bytes.
  const directory = await mkdtemp(join(tmpdir(), 'e2e-'));
  const programs = new Programs(directory);
  let controlGroup: ControlGroup | undefined;
  const stop = async (): Promise<void> => {
    await takeDown(directory, programs, controlGroup);
  };
  try {
    controlGroup = await makeControlGroup(`cuttle-e2e-${randomBytes(4).toString('hex')}`);
    const bin = join(tools, 'kubernetes');
    const common = { directory, bin, programs, signal };
    const [controlPlane, runtime] = await Promise.all([startControlPlane(common), startContainerRuntime(common)]);
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
  for (const name of await readdir(containerLogs).catch(() => [])) {
    const link = join(containerLogs, name);
    if ((await readlink(link).catch(() => '')).startsWith(`${directory}/`)) await unlink(link);
  }
  await rmdir(containerLogs).catch(() => undefined); // unless others use it
  await rm(directory, { recursive: true, force: true });
}
