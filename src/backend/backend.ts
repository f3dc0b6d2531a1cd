import type { BackendKind } from '../domain/backend-kind.js';
import type { VolumeCapability } from '../domain/capability.js';
import type { CapacityRange } from '../domain/capacity.js';
import type { VolumeTrouble } from '../domain/health.js';
import type { SnapshotId } from '../domain/snapshot-id.js';
import type { Reach, Segments, TopologyRequirement } from '../domain/topology.js';
import type { VolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import type { Secret } from '../platform/secret.js';

/** StorageClass parameters or a volume context. */
export type StringMap = Readonly<Record<string, string>>;

export interface CreateVolumeInput {
  /** The CO's name for the volume: at most 128 characters of Unicode. */
  readonly name: string;
  readonly capacity: CapacityRange | undefined;
  readonly capabilities: readonly VolumeCapability[];
  readonly parameters: StringMap;
  /** What ControllerModifyVolume may change later; counts before `parameters`. */
  readonly mutableParameters: StringMap;
  readonly credentials: Credentials | undefined;
  /** undefined for an empty volume. */
  readonly source: ContentSource | undefined;
  /** From where it must and should be reachable; undefined = no matter. */
  readonly requirement?: TopologyRequirement | undefined;
}

/** What a new volume holds from the start. */
export type ContentSource = { readonly snapshot: SnapshotId } | { readonly volume: VolumeId };

export interface Volume {
  readonly id: VolumeId;
  readonly sizeBytes: bigint;
  /** CSI's volume_context: immutable, no secret; what NodeStageVolume may use, never needs. */
  readonly context: StringMap;
  /** From where it can be reached, when its place was chosen for that; undefined: from where its cluster can. */
  readonly reach?: Reach | undefined;
}

/** A volume that was looked up. */
export interface FoundVolume extends Volume {
  /** The nodes that it is attached to. */
  readonly nodes: readonly string[];
  /** The pool that CreateVolume was told to put its data into; undefined for the place's own, or when no record tells. */
  readonly dataPool?: string | undefined;
}

/** Where a volume lies. */
export interface VolumePlace<Id extends VolumeId = VolumeId> extends Pick<FoundVolume, 'dataPool'> {
  readonly id: Id;
}

export interface AttachInput {
  readonly node: string;
  readonly capability: VolumeCapability;
  readonly readOnly: boolean;
  readonly credentials: Credentials | undefined;
}

/** An attachment, in what the node needs to know of it. */
export interface Attached {
  /** Addresses of the node's Ceph clients that were fenced: a stage that one of them serves has to be made anew. */
  readonly fencedClients: readonly string[];
}

/** A checked CreateVolume request: which object it will be is known before anything is asked of Ceph. */
export interface VolumePlan<Id extends VolumeId = VolumeId> {
  readonly id: Id;
  /** Where else it may come to lie: then create() chooses by the request's topology requirement, and not its caller by the cluster's. */
  readonly elsewhere?: readonly Id[];
  /** @throws DriverError ALREADY_EXISTS when the name stands for a volume that doesn't fit the request. */
  create(ctx: CallContext): Promise<Volume>;
}

export interface CreateSnapshotInput<Id extends VolumeId = VolumeId> {
  /** The CO's name for the snapshot: at most 128 characters of Unicode. */
  readonly name: string;
  readonly source: Id;
  readonly credentials: Credentials | undefined;
  /** From where volumes made of it must be reachable; undefined = no matter. */
  readonly requirement?: TopologyRequirement | undefined;
}

export interface Snapshot {
  readonly id: SnapshotId;
  /** What a volume made of it must at least have. */
  readonly sizeBytes: bigint;
  readonly createdMs: number;
  /** As its volume's. */
  readonly reach?: Reach | undefined;
}

export interface SnapshotPage {
  readonly snapshots: readonly Snapshot[];
  /** Where the next page starts; undefined at the end. */
  readonly next: string | undefined;
}

export interface Capacity {
  readonly availableBytes: bigint;
  readonly maximumVolumeBytes: bigint;
  readonly minimumVolumeBytes: bigint;
}

export interface GrownVolume {
  readonly sizeBytes: bigint;
  /** Whether nodes that have it staged must be told (NodeExpandVolume). */
  readonly needsNode: boolean;
}

export interface VolumePage {
  readonly volumes: readonly FoundVolume[];
  /** Where the next page starts; undefined at the end. */
  readonly next: string | undefined;
}

/** Snapshots of a backend's volumes. */
export interface SnapshotBackend<Id extends VolumeId = VolumeId> {
  /** Idempotent. @throws DriverError NOT_FOUND (no such volume), ALREADY_EXISTS (the name stands for another volume's snapshot). */
  create(ctx: CallContext, input: CreateSnapshotInput<Id>): Promise<Snapshot>;
  /** Idempotent. Volumes made of it stay. */
  delete(ctx: CallContext, id: SnapshotId<Id>, credentials: Credentials | undefined): Promise<void>;
  /** undefined when there is no such snapshot. */
  find(ctx: CallContext, id: SnapshotId<Id>, credentials: Credentials | undefined): Promise<Snapshot | undefined>;
  /** Of one volume, which may be deleted already. */
  of(ctx: CallContext, source: Id): Promise<readonly Snapshot[]>;
  /** @param after where to go on ('' = from the start); @throws DriverError ABORTED when it is no such place. */
  list(ctx: CallContext, after: string, max: number): Promise<SnapshotPage>;
}

/** What the Controller service needs of a backend; it is given no ids but its own kind's. */
export interface ControllerBackend<Id extends VolumeId = VolumeId> {
  readonly kind: BackendKind;
  readonly snapshots: SnapshotBackend<Id>;
  /** Checks everything that can be checked without Ceph. @throws DriverError INVALID_ARGUMENT, OUT_OF_RANGE. */
  planVolume(input: CreateVolumeInput): VolumePlan;
  /**
   * Idempotent. @throws DriverError NOT_FOUND, ALREADY_EXISTS (on the node in another way), FAILED_PRECONDITION (on another node).
   */
  attach(ctx: CallContext, id: Id, input: AttachInput): Promise<Attached>;
  /**
   * Idempotent. What still holds the volume there is fenced. @param node undefined = all nodes.
   * @throws DriverError PERMISSION_DENIED (something would have to be fenced, and may not).
   */
  detach(ctx: CallContext, id: Id, node: string | undefined, credentials: Credentials | undefined): Promise<void>;
  /** Idempotent. @throws DriverError FAILED_PRECONDITION when the volume is attached or in use. */
  deleteVolume(ctx: CallContext, id: Id, credentials: Credentials | undefined): Promise<void>;
  /**
   * Grows the volume, which may be in use. Idempotent: one that is large enough stays as it is.
   * @throws DriverError NOT_FOUND, OUT_OF_RANGE.
   */
  expandVolume(
    ctx: CallContext,
    id: Id,
    range: CapacityRange,
    credentials: Credentials | undefined,
  ): Promise<GrownVolume>;
  /**
   * Changes the mutable parameters that are named, all or none; the others stay. Idempotent; the volume may be in use.
   * @throws DriverError NOT_FOUND, INVALID_ARGUMENT with nothing changed.
   */
  modifyVolume(
    ctx: CallContext,
    id: Id,
    mutableParameters: StringMap,
    credentials: Credentials | undefined,
  ): Promise<void>;
  /** undefined when there is no such volume. */
  findVolume(ctx: CallContext, id: Id, credentials: Credentials | undefined): Promise<FoundVolume | undefined>;
  /**
   * What is wrong with each of these volumes, in their order, by what the cluster says of where they lie: nothing is asked of the
   * volumes themselves. @throws DriverError NOT_FOUND (an unknown cluster), UNAVAILABLE (the monitors don't answer).
   */
  troubles(
    ctx: CallContext,
    volumes: readonly VolumePlace<Id>[],
    credentials: Credentials | undefined,
  ): Promise<readonly (readonly VolumeTrouble[])[]>;
  /** Why a volume can't be used this way, this one if it is named; undefined when it can. */
  objection(capability: VolumeCapability, id?: Id): string | undefined;
  /**
   * @param from only what can be reached from there counts; undefined: all does
   * @throws DriverError INVALID_ARGUMENT for parameters that name no such place.
   */
  capacity(ctx: CallContext, parameters: StringMap, from?: Segments): Promise<Capacity>;
  /** @param after where to go on ('' = from the start); @throws DriverError ABORTED when it is no such place. */
  listVolumes(ctx: CallContext, after: string, max: number): Promise<VolumePage>;
  /** Goes on with what an earlier process left undone; returns at once. */
  resumeBackgroundWork(): void;
  close(): Promise<void>;
}

export interface ExpandInput<Id extends VolumeId = VolumeId> {
  readonly id: Id;
  /** Where the volume is staged or published. */
  readonly volumePath: string;
  readonly credentials: Credentials | undefined;
}

export interface StageInput<Id extends VolumeId = VolumeId> {
  readonly id: Id;
  readonly stagingPath: string;
  readonly capability: VolumeCapability;
  readonly context: StringMap;
  readonly attached: NodeAttachment;
  readonly credentials: Credentials | undefined;
  /** Opens an encrypted volume; undefined when the request has none. */
  readonly passphrase?: Secret | undefined;
}

/** What ControllerPublishVolume has said about the volume on this node (CSI's publish_context); nothing for a CO that doesn't attach. */
export interface NodeAttachment extends Attached {
  /** The orchestrator attaches volumes: then this node must be among those that the volume's record names. */
  readonly required: boolean;
  /** Nothing may be written, whatever the capability says. */
  readonly readOnly: boolean;
}

/** What the Node service needs of a backend; it is given no ids but its own kind's. */
export interface NodeBackend<Id extends VolumeId = VolumeId> {
  readonly kind: BackendKind;
  /** Idempotent: attaches the volume, and formats it only if it is blank. */
  stage(ctx: CallContext, input: StageInput<Id>): Promise<void>;
  /** Idempotent, needs no secrets and no cluster: works from the kernel's tables. */
  unstage(ctx: CallContext, id: Id, stagingPath: string): Promise<void>;
  /** Does anything on this node still serve the volume's data? False when its daemon has died. */
  isServed(ctx: CallContext, id: Id): Promise<boolean>;
  /** Every path at which this node has the volume mounted, or its device bound, be it dead. From the kernel's tables alone. */
  mountsOf(id: Id): Promise<readonly string[]>;
  /** Is this the path where this very volume is staged, be it dead? What it is attached as, or undefined. */
  staged(ctx: CallContext, id: Id, stagingPath: string): Promise<StagedVolume | undefined>;
  /**
   * Makes this node see what ControllerExpandVolume has done, the file system included. Idempotent. Absent where a node has nothing
   * to do. @returns the size in bytes.
   */
  expand?(ctx: CallContext, input: ExpandInput<Id>): Promise<bigint>;
  /** What the volume mounted at this path holds, for a backend whose statfs(2) counts more than the volume. */
  inodes?(ctx: CallContext, id: Id, volumePath: string): Promise<InodeUsage | undefined>;
}

/** Files and directories. */
export interface InodeUsage {
  readonly used: bigint;
  /** 0 = no limit. */
  readonly total: bigint;
}

/** A volume at its staging path. */
export interface StagedVolume {
  readonly access: 'mount' | 'block';
  /** What publish binds: the staging directory, or the device file in it. */
  readonly source: string;
  readonly readOnly: boolean;
  /** Why it can never be anything but read-only; undefined when it is a matter of how it was staged. */
  readonly whyReadOnly?: string;
  /** False when what served it has died: staging it again makes it work. */
  readonly works: boolean;
}
