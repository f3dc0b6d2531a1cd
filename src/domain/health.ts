/** CSI spec, VolumeHealthErrorType. DATA_LOSS is not among them: nothing that Cuttle asks tells of one volume's lost data. */
export type VolumeTroubleStatus = 'DEGRADED' | 'INACCESSIBLE';

/** One thing that is wrong with a volume; a healthy one has none. */
export interface VolumeTrouble {
  readonly status: VolumeTroubleStatus;
  /** In CamelCase, for machines. Two troubles of a volume differ in status or reason (CSI spec, VolumeHealthEntry). */
  readonly reason: string;
  /** For people: what it is, and the way out. */
  readonly message: string;
}

/** One thing that is wrong with a cluster, as this node sees it: CSI spec, StorageHealthErrorType. */
export interface StorageTrouble {
  readonly status: 'STORAGE_DEGRADED' | 'STORAGE_UNREACHABLE';
  readonly reason: string;
  readonly message: string;
}
