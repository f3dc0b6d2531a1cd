import type { csi } from '../src/csi/gen/csi.js';
import type { CreateOptions } from '../test/harness/requests.js';
import type { Aim } from './table.js';

/** The bare library calls that the driver's RPCs can't be faster than, on one connection, without anything around them. */
export interface RawVolumes {
  readonly create: (name: string) => Promise<void>;
  /** What a repeated CreateVolume has to ask at the least. */
  readonly lookUp: (name: string) => Promise<void>;
  /** What DeleteVolume has to do at the least. */
  readonly hide: (name: string) => Promise<void>;
  /** The names in the place where the driver keeps its volumes. */
  readonly list: () => Promise<number>;
  /** As many of these names as there are on a page. */
  readonly listPage: (size: number) => Promise<number>;
  /** What a page of ListSnapshots can't do without. */
  readonly listSnapshotPage: (size: number) => Promise<number>;
  /** Of a volume that create() has made; so are the following. */
  readonly snapshot: (volume: string, snapshot: string) => Promise<void>;
  readonly deleteSnapshot: (volume: string, snapshot: string) => Promise<void>;
  readonly restore: (volume: string, snapshot: string, name: string) => Promise<void>;
  readonly clone: (volume: string, name: string) => Promise<void>;
  readonly grow: (volume: string, bytes: bigint) => Promise<void>;
  /** Frees the space of what was hidden, here and by the driver, so that nobody does it while something is measured. */
  readonly emptyTrash: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** An RPC of the Controller, alone and with 16 in flight. */
export interface AimPair {
  readonly alone?: Aim;
  readonly many?: Aim;
}

/** One kind of volumes that is measured. */
export interface Subject {
  /** Comes before every figure. */
  readonly name: string;
  readonly create: Pick<CreateOptions, 'parameters' | 'capabilities'>;
  readonly capability: csi.v1.VolumeCapability;
  readonly raw: RawVolumes;
  /** What each raw call is, in words. */
  readonly floors: Readonly<Record<Floor, string>>;
  readonly aims: Readonly<Partial<Record<'create' | 'again' | 'delete' | 'snapshot' | 'restore', AimPair>>>;
  /** How many are made, alone and with 16 in flight: RBD's take a round of the monitors', which sixteen may share. */
  readonly snapshots: { readonly alone: number; readonly many: number };
}

type Floor = Exclude<keyof RawVolumes, 'emptyTrash' | 'close'>;

export type Progress = (text: string) => void;
