import type {
  Attached,
  Capacity,
  ControllerBackend,
  CreateVolumeInput,
  FoundVolume,
  GrownVolume,
  CreateSnapshotInput,
  Snapshot,
  SnapshotPage,
  StringMap,
  Volume,
  VolumePage,
} from '../backend/backend.js';
import type { BackendKind } from '../domain/backend-kind.js';
import type { VolumeCapability } from '../domain/capability.js';
import type { CapacityRange } from '../domain/capacity.js';
import type { Reach, Segments } from '../domain/topology.js';
import type { VolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import type { KeyedLock } from '../platform/keyed-lock.js';
import { createSnapshot } from './create-snapshot.js';
import { createVolume } from './create-volume.js';
import { deleteSnapshot, type SnapshotInput } from './delete-snapshot.js';
import { deleteVolume } from './delete-volume.js';
import { expandVolume } from './expand-volume.js';
import { getCapacity } from './get-capacity.js';
import { getVolume, type GetVolumeInput } from './get-volume.js';
import { getVolumeHealth, type GetVolumeHealthInput, type VolumeHealth } from './get-volume-health.js';
import { getSnapshot } from './get-snapshot.js';
import { listSnapshots, type ListSnapshotsInput } from './list-snapshots.js';
import { listVolumeHealth, type VolumeHealthPage } from './list-volume-health.js';
import { listVolumes } from './list-volumes.js';
import { modifyVolume, type ModifyVolumeInput } from './modify-volume.js';
import type { NodeDirectory } from './node-directory.js';
import { publishVolume, type PublishVolumeInput } from './publish-volume.js';
import { unpublishVolume, type UnpublishVolumeInput } from './unpublish-volume.js';
import { validateVolumeCapabilities } from './validate-volume-capabilities.js';

export interface DeleteVolumeInput {
  /** undefined for an id that Cuttle can't have given out. */
  readonly id: VolumeId | undefined;
  readonly credentials: Credentials | undefined;
}

export interface ExpandVolumeInput {
  readonly id: VolumeId | undefined;
  readonly idText: string;
  readonly range: CapacityRange;
  readonly credentials: Credentials | undefined;
}

export interface ValidateInput {
  readonly id: VolumeId | undefined;
  readonly idText: string;
  readonly capabilities: readonly VolumeCapability[];
  /** The volume context that the caller holds; empty when it gives none. */
  readonly context: StringMap;
  readonly credentials: Credentials | undefined;
}

export interface GetCapacityInput {
  readonly parameters: StringMap;
  readonly capabilities: readonly VolumeCapability[];
  /** Only what can be reached from there counts; undefined: all does. */
  readonly from?: Segments | undefined;
}

export interface ListInput {
  /** 0 = all. */
  readonly maxEntries: number;
  readonly startingToken: string;
}

/** The Controller service in domain terms: what csi/ calls, one function per RPC. */
export interface ControllerService {
  createVolume(ctx: CallContext, input: CreateVolumeInput): Promise<Volume>;
  deleteVolume(ctx: CallContext, input: DeleteVolumeInput): Promise<void>;
  publishVolume(ctx: CallContext, input: PublishVolumeInput): Promise<Attached>;
  unpublishVolume(ctx: CallContext, input: UnpublishVolumeInput): Promise<void>;
  getVolume(ctx: CallContext, input: GetVolumeInput): Promise<FoundVolume>;
  expandVolume(ctx: CallContext, input: ExpandVolumeInput): Promise<GrownVolume>;
  modifyVolume(ctx: CallContext, input: ModifyVolumeInput): Promise<void>;
  /** The reason why the volume can't be used in all of these ways; undefined when it can. */
  validateVolumeCapabilities(ctx: CallContext, input: ValidateInput): Promise<string | undefined>;
  getCapacity(ctx: CallContext, input: GetCapacityInput): Promise<Capacity>;
  listVolumes(ctx: CallContext, input: ListInput): Promise<VolumePage>;
  getVolumeHealth(ctx: CallContext, input: GetVolumeHealthInput): Promise<VolumeHealth>;
  listVolumeHealth(ctx: CallContext, input: ListInput): Promise<VolumeHealthPage>;
  createSnapshot(ctx: CallContext, input: CreateSnapshotInput): Promise<Snapshot>;
  deleteSnapshot(ctx: CallContext, input: SnapshotInput): Promise<void>;
  getSnapshot(ctx: CallContext, input: SnapshotInput): Promise<Snapshot>;
  listSnapshots(ctx: CallContext, input: ListSnapshotsInput): Promise<SnapshotPage>;
}

export interface ControllerDependencies {
  readonly backends: ReadonlyMap<BackendKind, ControllerBackend>;
  readonly lock: KeyedLock;
  readonly nodes: NodeDirectory;
  /** From where a cluster's volumes can be reached. */
  readonly clusterReach: (clusterId: string) => Reach;
}

export function controllerService(deps: ControllerDependencies): ControllerService {
  return {
    createVolume: async (ctx, input) => createVolume(ctx, deps, input),
    deleteVolume: async (ctx, input) => deleteVolume(ctx, deps, input),
    publishVolume: async (ctx, input) => publishVolume(ctx, deps, input),
    unpublishVolume: async (ctx, input) => unpublishVolume(ctx, deps, input),
    getVolume: async (ctx, input) => getVolume(ctx, deps, input),
    expandVolume: async (ctx, input) => expandVolume(ctx, deps, input),
    modifyVolume: async (ctx, input) => modifyVolume(ctx, deps, input),
    validateVolumeCapabilities: async (ctx, input) => validateVolumeCapabilities(ctx, deps, input),
    getCapacity: async (ctx, input) => getCapacity(ctx, deps, input),
    listVolumes: async (ctx, input) => listVolumes(ctx, deps, input),
    getVolumeHealth: async (ctx, input) => getVolumeHealth(ctx, deps, input),
    listVolumeHealth: async (ctx, input) => listVolumeHealth(ctx, deps, input),
    createSnapshot: async (ctx, input) => createSnapshot(ctx, deps, input),
    deleteSnapshot: async (ctx, input) => deleteSnapshot(ctx, deps, input),
    getSnapshot: async (ctx, input) => getSnapshot(ctx, deps, input),
    listSnapshots: async (ctx, input) => listSnapshots(ctx, deps, input),
  };
}
