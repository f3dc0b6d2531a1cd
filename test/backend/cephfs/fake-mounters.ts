import type { MountInfo } from 'mount-utils-ts';
import type { CephfsMounter, MounterKind } from '../../../src/backend/cephfs/mounter.js';
import type { CephfsVolumeId } from '../../../src/domain/volume-id.js';

export const id: CephfsVolumeId = { backend: 'cephfs', clusterId: 'a', fsName: 'cephfs', path: '/volumes/csi/x' };

/** A mounter that objects, or not, and has nothing to do with the rest. */
export function fakeMounter(kind: MounterKind, objection?: string, own: Partial<CephfsMounter> = {}): CephfsMounter {
  const unused = (): never => {
    throw new Error('not called here');
  };
  return {
    kind,
    objection: async () => Promise.resolve(objection),
    isVolume: unused,
    mount: unused,
    release: unused,
    clientAddress: unused,
    isServed: unused,
    ...own,
  };
}

export function entry(change: Partial<MountInfo>): MountInfo {
  return {
    id: 50,
    parentId: 1,
    major: 0,
    minor: 50,
    root: '/',
    mountPoint: '/stage',
    mountOptions: ['rw'],
    optionalFields: [],
    fsType: 'ceph',
    source: '',
    superOptions: ['rw'],
    ...change,
  };
}
