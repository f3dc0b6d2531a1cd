import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { findLeftovers, removeLeftovers } from '../../../scripts/testing/leftovers.js';
import type { Api } from './api.js';
import { type ContainerRuntime, removeShimSockets, startContainerRuntime } from './container-runtime.js';
import { type ControlGroup, makeControlGroup, type PodProcess } from './control-groups.js';
import { type ControlPlane, startControlPlane } from './control-plane.js';
import { clearFixedPlaces, refuseKubernetesNode } from './fixed-places.js';
import { podLogsBelow, startKubelet } from './kubelet.js';
import { detachNamelessLoops, namelessLoops } from './nameless-loops.js';
import { mark, Programs } from './programs.js';
import { removeServiceAddress } from './service-address.js';

/** A Kubernetes cluster of one node, on this machine's loopback. */
export interface Kubernetes {
  readonly api: Api;
  readonly controlPlane: ControlPlane;
  readonly runtime: ContainerRuntime;
  readonly nodeName: string;
  /** Everything of the cluster is below; a mount of its own, which pods may share. */
  readonly directory: string;
  readonly kubeletDirectory: string;
  readonly programs: Programs;
  /** The processes in pods. */
  podProcesses(): Promise<PodProcess[]>;
  /** Ends everything, whatever state it is in. */
  stop(): Promise<void>;
}

const nodeName = 'e2e-node';

/**
 * @param tools the directory that scripts/lib/setup-e2e fills.
 * @param logs a directory for the logs of programs and pods; those of an earlier run are overwritten.
 */
export async function startKubernetes(tools: string, logs: string, signal: AbortSignal): Promise<Kubernetes> {
  refuseKubernetesNode();
  // Short, because a socket's path has at most 107 bytes.
  const directory = await mkdtemp(join(tmpdir(), 'e2e-'));
  await rm(logs, { recursive: true, force: true });
  const programs = new Programs(directory, logs);
  const loopsBefore = await namelessLoops();
  let controlGroup: ControlGroup | undefined;
  const stop = async (): Promise<void> => {
    await cp(podLogsBelow(directory), join(logs, 'pods'), { recursive: true }).catch(() => undefined);
    await takeDown(directory, programs, controlGroup);
    await detachNamelessLoops(loopsBefore);
  };
  try {
    // What a pod mounts is seen by others where the mount below it is shared, and this machine's root may not be.
    await execa('mount', ['--bind', directory, directory]);
    await execa('mount', ['--make-rshared', directory]);
    controlGroup = await makeControlGroup(`cuttle-e2e-${randomBytes(4).toString('hex')}`);
    const bin = join(tools, 'kubernetes');
    const common = { directory, bin, programs, signal };
    // One after the other: what fails leaves nothing behind that is still starting.
    const runtime = await startContainerRuntime(common);
    const controlPlane = await startControlPlane(common);
    const kubeletDirectory = await startKubelet({ ...common, nodeName, controlPlane, runtime, controlGroup });
    const { api } = controlPlane;
    const group = controlGroup;
    const podProcesses = async () => group.processes();
    return { api, controlPlane, runtime, nodeName, directory, kubeletDirectory, programs, podProcesses, stop };
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
  await removeServiceAddress();
  await clearFixedPlaces(directory);
  // Never into a mount that would not go.
  await execa('rm', ['-rf', '--one-file-system', '--', directory], { reject: false });
}
