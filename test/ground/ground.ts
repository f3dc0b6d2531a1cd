import type { csi } from '../../src/csi/gen/csi.js';

/** What requests for volumes of one kind say. */
export interface VolumeKind {
  readonly name: 'rbd' | 'cephfs';
  readonly parameters: Readonly<Record<string, string>>;
  readonly capability: csi.v1.VolumeCapability;
  /** The name of the image or directory that a CO's volume name stands for. */
  objectOf(name: string): string;
  /** What CreateVolume must answer, now and ever after: it follows from the name alone. */
  idOf(name: string): string;
  /** Whether a client that died keeps DeleteVolume away for a while. */
  readonly hasWatchers: boolean;
  /** What the volume's first user writes beside the marker. */
  furnish?(targetPath: string): Promise<void>;
}

/** A place of one's own where volumes of one kind lie, as an administrator sees it. */
export interface Ground {
  readonly kind: VolumeKind;
  /** What the driver's configuration says of it, below its cluster. */
  readonly config: string;
  /** Names of the images or directories that look like volumes. */
  objects(): Promise<ReadonlySet<string>>;
  /** Processes that serve this volume's mounts; undefined where that isn't looked at. */
  servers?(volumeId: string): Promise<number>;
  /** Puts a text into a volume, behind the driver's back. */
  write(name: string, text: string): Promise<void>;
  read(name: string): Promise<string>;
  /** What is wrong that no single volume tells. */
  problems(): Promise<string[]>;
  /** What is left when all has been deleted: volumes, trash, snapshots, registries, queues; [] is what should be. */
  remains(): Promise<string[]>;
  close(): Promise<void>;
}
