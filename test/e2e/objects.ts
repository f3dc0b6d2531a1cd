import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { CephSide, CephUser } from './ceph-side.js';
import type { Api } from './cluster/api.js';
import { at, type Kind, type KubeObject } from './cluster/kinds.js';
import { until } from './cluster/until.js';

export const driverName = 'csi.cuttle.dev';
export const snapshotClass = 'cuttle';

/** StorageClasses, by what they are for. `rbd-xfs` because a root without CAP_SYS_RESOURCE grows no mounted ext4. */
export const storageClasses = ['rbd', 'rbd-xfs', 'cephfs'] as const;
export type StorageClassName = (typeof storageClasses)[number];

/** VolumeAttributesClasses and what they set. */
export const attributeClasses = {
  'rbd-slow': { qosIopsLimit: '500' },
  'rbd-fast': { qosIopsLimit: '9000' },
  'cephfs-few': { maxFiles: '5' },
  'cephfs-many': { maxFiles: '500' },
} as const;

const namespace = 'default';
const crdsMs = 60_000;

/** The CRDs of snapshots, as their module has them. */
export async function createSnapshotCrds(api: Api, directory: string, signal: AbortSignal): Promise<void> {
  for (const file of await readdir(directory)) {
    const crd = parse(await readFile(join(directory, file), 'utf8')) as KubeObject;
    await api.create(crd);
    const isServed = async (): Promise<true | undefined> => {
      const conditions = at(await api.get('CustomResourceDefinition', crd.metadata.name), 'status', 'conditions');
      const all = Array.isArray(conditions) ? (conditions as unknown[]) : [];
      const isTrue = all.some((each) => at(each, 'type') === 'Established' && at(each, 'status') === 'True');
      return isTrue ? true : undefined;
    };
    await until(`CRD ${crd.metadata.name}`, isServed, { withinMs: crdsMs, signal });
  }
}

/** What an administrator writes before people can make claims: driver, Secrets, classes. */
export async function createClasses(api: Api, ceph: CephSide): Promise<void> {
  await api.create(driver());
  for (const name of ['rbd', 'cephfs', 'cephfs-node'] as const) await api.create(secret(name, ceph));
  for (const name of storageClasses) await api.create(storageClass(name, ceph));
  for (const [name, parameters] of Object.entries(attributeClasses)) {
    await api.create({ ...head('storage.k8s.io/v1', 'VolumeAttributesClass', name), driverName, parameters });
  }
  for (const kind of ['rbd', 'cephfs'] as const) {
    await api.create({
      ...head('snapshot.storage.k8s.io/v1', 'VolumeSnapshotClass', `${snapshotClass}-${kind}`),
      driver: driverName,
      deletionPolicy: 'Delete',
      parameters: secretsFor(kind, 'snapshotter', 'snapshotter-list'),
    });
  }
}

function driver(): KubeObject {
  const spec = {
    attachRequired: true,
    podInfoOnMount: false,
    fsGroupPolicy: 'File',
    volumeLifecycleModes: ['Persistent'],
  };
  return { ...head('storage.k8s.io/v1', 'CSIDriver', driverName), spec };
}

function secret(name: CephUser, { users }: CephSide): KubeObject {
  return { ...head('v1', 'Secret', name), stringData: { userID: users[name].id, userKey: users[name].key } };
}

function storageClass(name: StorageClassName, ceph: CephSide): KubeObject {
  const making = ['provisioner', 'controller-publish', 'controller-expand', 'controller-modify'];
  const mounting = ['node-stage', 'node-publish', 'node-expand'];
  const parameters =
    name === 'cephfs'
      ? { backend: 'cephfs', fsName: ceph.cluster.fsName, mounter: 'fuse', ...secretsFor('cephfs', ...making) }
      : { backend: 'rbd', pool: ceph.pool, mounter: 'userspace', ...secretsFor('rbd', ...making) };
  return {
    ...head('storage.k8s.io/v1', 'StorageClass', name),
    provisioner: driverName,
    parameters: {
      clusterID: 'default',
      ...parameters,
      ...secretsFor(name === 'cephfs' ? 'cephfs-node' : 'rbd', ...mounting),
      ...(name === 'cephfs' ? {} : { 'csi.storage.k8s.io/fstype': name === 'rbd' ? 'ext4' : 'xfs' }),
    },
    reclaimPolicy: 'Delete',
    allowVolumeExpansion: true,
    volumeBindingMode: 'Immediate',
  };
}

function secretsFor(secretName: CephUser, ...uses: string[]): Record<string, string> {
  const pairs = uses.flatMap((use) => [
    [`csi.storage.k8s.io/${use}-secret-name`, secretName],
    [`csi.storage.k8s.io/${use}-secret-namespace`, namespace],
  ]);
  return Object.fromEntries(pairs) as Record<string, string>;
}

export function head(apiVersion: string, kind: Kind, name: string): KubeObject {
  return { apiVersion, kind, metadata: { name } };
}
