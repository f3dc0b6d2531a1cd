import { version } from '../../src/platform/version.js';
import { repository } from '../image/build-image.js';
import type { CephSide } from './ceph-side.js';
import type { Kubernetes } from './cluster/kubernetes.js';

export const driverName = 'csi.cuttle.dev';
export const snapshotClass = 'cuttle';

/** StorageClasses, by what they are for. `rbd-xfs` because a root without CAP_SYS_RESOURCE grows no mounted ext4. */
export const storageClasses = ['rbd', 'rbd-xfs', 'rbd-encrypted', 'cephfs'] as const;
export type StorageClassName = (typeof storageClasses)[number];

/** VolumeAttributesClasses and what they set. */
const attributeClasses = {
  'rbd-slow': { qosIopsLimit: '500' },
  'rbd-fast': { qosIopsLimit: '9000' },
  'cephfs-few': { maxFiles: '5' },
  'cephfs-many': { maxFiles: '500' },
} as const;
export type AttributeClassName = keyof typeof attributeClasses;

const secrets = { provisioner: 'cuttle-provisioner', node: 'cuttle-node', encrypted: 'cuttle-node-encrypted' };

/** Ports of this machine, because all pods of the driver are on its network. */
export interface DriverPorts {
  readonly controller: { readonly metrics: number; readonly health: number };
  readonly node: { readonly metrics: number; readonly health: number };
}

/** What an administrator gives `helm install`: the cluster, its users, and the classes that people will name. */
export function chartValues(kubernetes: Kubernetes, ceph: CephSide, ports: DriverPorts): Record<string, unknown> {
  const { controller, node } = ceph.users;
  const keyOf = ({ id, key }: { id: string; key: string }) => ({ userID: id, userKey: key });
  return {
    driverName,
    image: { repository, tag: version, pullPolicy: 'Never' },
    sidecars: { verbosity: 2 },
    kubeletDir: kubernetes.kubeletDirectory,
    runDir: `${kubernetes.directory}/run`,
    logLevel: 'debug',
    clusters: [
      {
        id: 'default',
        monitors: ceph.cluster.monHost,
        user: controller.id,
        cephfs: { fsName: ceph.cluster.fsName, group: ceph.group },
      },
    ],
    clusterKeys: { default: controller.key },
    secrets: [
      { name: secrets.provisioner, ...keyOf(controller) },
      { name: secrets.node, ...keyOf(node) },
      { name: secrets.encrypted, ...keyOf(node), extra: { encryptionPassphrase: ceph.passphrase } },
    ],
    // Ceph listens on this machine's loopback alone; and there is one node, which has room for one controller.
    controller: { hostNetwork: true, replicas: 1, ports: ports.controller },
    node: { ports: ports.node },
    storageClasses: storageClasses.map((name) => storageClass(name, ceph)),
    volumeSnapshotClasses: [{ name: snapshotClass, secrets: { snapshotter: secrets.provisioner } }],
    volumeAttributesClasses: Object.entries(attributeClasses).map(([name, parameters]) => ({ name, parameters })),
  };
}

function storageClass(name: StorageClassName, ceph: CephSide): Record<string, unknown> {
  const used = { provisioner: secrets.provisioner, node: secrets.node };
  const cluster = { clusterID: 'default' };
  if (name === 'cephfs') {
    const parameters = { ...cluster, fsName: ceph.cluster.fsName, mounter: 'fuse' };
    return { name, backend: 'cephfs', parameters, secrets: used };
  }
  const isEncrypted = name === 'rbd-encrypted';
  return {
    name,
    backend: 'rbd',
    parameters: { ...cluster, pool: ceph.pool, mounter: 'userspace', ...(isEncrypted ? { encrypted: 'true' } : {}) },
    secrets: isEncrypted ? { ...used, node: secrets.encrypted } : used,
    fsType: name === 'rbd-xfs' ? 'xfs' : 'ext4',
  };
}
