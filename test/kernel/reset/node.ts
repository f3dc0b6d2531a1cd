import { join } from 'node:path';
import type { csi } from '../../../src/csi/gen/csi.js';
import type { TestCluster } from '../../harness/cluster.js';
import { clusterYaml, type Driver, startDriver } from '../../harness/driver.js';
import { blockCapability, mountCapability } from '../../harness/requests.js';
import { exchangeDirectory } from '../exchange.js';

/*
 * A node before and after a reset: the directories that kubelet keeps on the node's disk are still there, mounts, devices, processes and
 * /run are not.
 */

export const pool = 'reset';
export const nodeId = 'test-node';
/** Of raw block volumes, these first bytes are compared. */
export const blockBytes = 4 << 20;

export interface Kind {
  readonly parameters: Readonly<Record<string, string>>;
  readonly capability: csi.v1.VolumeCapability;
  /** Its pod was moved meanwhile: kubelet takes away what is no longer there before the volume comes again. */
  readonly isTakenAway: boolean;
}

const image = { backend: 'rbd', clusterID: 'default', pool };
const directory = { backend: 'cephfs', clusterID: 'default', fsName: 'cephfs', mounter: 'kernel' };

const oneNode = mountCapability('SINGLE_NODE_WRITER', '');
const manyNodes = mountCapability('MULTI_NODE_MULTI_WRITER', '');
const xfs = mountCapability('SINGLE_NODE_WRITER', 'xfs');
const krbd = { ...image, mounter: 'krbd' };
const nbd = { ...image, mounter: 'nbd' };

export const kinds: Readonly<Record<string, Kind>> = {
  'krbd-ext4': { parameters: krbd, capability: mountCapability(), isTakenAway: false },
  'krbd-xfs': { parameters: krbd, capability: xfs, isTakenAway: true },
  'krbd-block': { parameters: krbd, capability: blockCapability(), isTakenAway: false },
  'nbd-ext4': { parameters: nbd, capability: mountCapability(), isTakenAway: false },
  'nbd-block': { parameters: nbd, capability: blockCapability(), isTakenAway: true },
  'cephfs-one-node': { parameters: directory, capability: oneNode, isTakenAway: false },
  'cephfs-many-nodes': { parameters: directory, capability: manyNodes, isTakenAway: true },
};

/** What is known of a volume when the node is back: the orchestrator's part, and what was written. */
export interface Kept {
  readonly id: string;
  readonly context: Readonly<Record<string, string>>;
  readonly publishContext: Readonly<Record<string, string>>;
  readonly digest: string;
}

export function factsFile(): string {
  return join(exchangeDirectory(), 'reset.json');
}

/** On the node's disk, which the host keeps. */
export function pathsOf(name: string): { readonly stagingPath: string; readonly targetPath: string } {
  const pod = join(exchangeDirectory(), 'node', name);
  return { stagingPath: join(pod, 'staging'), targetPath: join(pod, 'target') };
}

/** What was written: a file in the volume, or the start of the device. */
export function dataOf(name: string): string {
  const { targetPath } = pathsOf(name);
  return name.endsWith('-block') ? targetPath : join(targetPath, 'data');
}

export async function nodeDriver(cluster: TestCluster): Promise<Driver> {
  return startDriver({ directory: '/tmp/node', config: `nodes: [${nodeId}]\n${clusterYaml(cluster)}` });
}
