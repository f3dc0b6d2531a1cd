import type { MountInfo } from 'mount-utils-ts';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';

export const mounterKinds = ['kernel', 'fuse'] as const;
export type MounterKind = (typeof mounterKinds)[number];

/** Values of the StorageClass parameter `mounter`; ceph-csi's names are the same. */
export const mounters = ['auto', ...mounterKinds] as const;
export type MounterName = (typeof mounters)[number];

export interface MountRequest {
  readonly id: CephfsVolumeId;
  /** The directory to mount: the volume's own, or the one whose snapshot it shows. */
  readonly path: string;
  /** An empty directory that is there. */
  readonly target: string;
  readonly readOnly: boolean;
  /** mon_host in Ceph's own form. */
  readonly monitors: string;
  readonly user: string;
  /** undefined when the keyring that librados found serves the mounter as well. */
  readonly key: Credentials['key'] | undefined;
  /** Files separated by commas. */
  readonly keyring: string | undefined;
  /** For this mounter, from the StorageClass (`kernelMountOptions`, `fuseMountOptions`) and the capability's mount flags. */
  readonly options: readonly string[];
}

/** One way to mount a directory of CephFS. */
export interface CephfsMounter {
  readonly kind: MounterKind;
  /** Why this node can't mount this way; undefined when it can. */
  objection(): Promise<string | undefined>;
  /** Is this entry of the mount table the volume, mounted this way? Takes no process and no cluster. */
  isVolume(entry: MountInfo, id: CephfsVolumeId): boolean;
  /** Leaves nothing behind when it fails. @throws DriverError; its message need not say why: the exit code often doesn't. */
  mount(ctx: CallContext, request: MountRequest): Promise<void>;
  /** Called after a mount of the volume is gone: waits, within limits, until what served it has written everything. */
  release(ctx: CallContext, id: CephfsVolumeId): Promise<void>;
  /** Of the volume's mount that is this client of the cluster (e.g. `4220`); undefined when this node can't tell. */
  clientAddress(id: CephfsVolumeId, clientId: string): Promise<string | undefined>;
  /** Does what serves the volume's mounts still live? */
  isServed(id: CephfsVolumeId): Promise<boolean>;
}
