import type { MounterLike } from 'mount-utils-ts';
import type { NodeAttachment, NodeBackend, StageInput, StringMap } from '../backend/backend.js';
import type { BackendKind } from '../domain/backend-kind.js';
import type { VolumeCapability } from '../domain/capability.js';
import { DriverError } from '../domain/errors.js';
import type { StorageTrouble } from '../domain/health.js';
import type { Segments } from '../domain/topology.js';
import type { VolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import type { KeyedLock } from '../platform/keyed-lock.js';
import type { Secret } from '../platform/secret.js';
import { expandVolume, type ExpandInput } from './expand-volume.js';
import { getVolumeHealth, type NodeVolumeHealth, type NodeVolumeHealthInput } from './get-volume-health.js';
import { getVolumeStats, type VolumeUsage } from './get-volume-stats.js';
import { publishVolume } from './publish-volume.js';
import { stageVolume } from './stage-volume.js';
import { unpublishVolume } from './unpublish-volume.js';
import type { VolumePathInput } from './volume-at.js';
import { unstageVolume } from './unstage-volume.js';

export interface UnstageInput {
  /** undefined for an id that Cuttle can't have given out. */
  readonly id: VolumeId | undefined;
  readonly idText: string;
  readonly stagingPath: string;
}

export interface PublishInput {
  readonly id: VolumeId;
  readonly stagingPath: string;
  readonly targetPath: string;
  readonly capability: VolumeCapability;
  readonly readOnly: boolean;
  /** For a staged volume that has died and is staged anew: as in StageInput. */
  readonly context: StringMap;
  readonly attached: NodeAttachment;
  readonly credentials: Credentials | undefined;
  readonly passphrase?: Secret | undefined;
}

export interface UnpublishInput {
  readonly idText: string;
  readonly targetPath: string;
}

/** The Node service in domain terms: what csi/ calls, one function per RPC. */
export interface NodeService {
  stageVolume(ctx: CallContext, input: StageInput): Promise<void>;
  unstageVolume(ctx: CallContext, input: UnstageInput): Promise<void>;
  publishVolume(ctx: CallContext, input: PublishInput): Promise<void>;
  unpublishVolume(ctx: CallContext, input: UnpublishInput): Promise<void>;
  getVolumeStats(ctx: CallContext, input: VolumePathInput): Promise<VolumeUsage[]>;
  expandVolume(ctx: CallContext, input: ExpandInput): Promise<bigint | undefined>;
  getVolumeHealth(ctx: CallContext, input: NodeVolumeHealthInput): Promise<NodeVolumeHealth>;
  getStorageHealth: StorageHealth;
  getTopology: NodeTopology;
}

/** What is wrong with the clusters, as this node sees them; empty when nothing is known to be. Ends within seconds. */
export type StorageHealth = (
  ctx: CallContext,
  credentials: Credentials | undefined,
) => Promise<readonly StorageTrouble[]>;

/** From where this node reaches volumes; undefined where topology doesn't matter. */
export type NodeTopology = (ctx: CallContext) => Promise<Segments | undefined>;

export interface NodeDependencies {
  readonly backends: ReadonlyMap<BackendKind, NodeBackend>;
  readonly lock: KeyedLock;
  readonly mounter: MounterLike;
  readonly storageHealth: StorageHealth;
  readonly topology: NodeTopology;
  /** A directory of the driver's own, the same over restarts. */
  readonly runDir: string;
}

export function nodeService(deps: NodeDependencies): NodeService {
  return {
    stageVolume: async (ctx, input) => stageVolume(ctx, deps, input),
    unstageVolume: async (ctx, input) => unstageVolume(ctx, deps, input),
    publishVolume: async (ctx, input) => publishVolume(ctx, deps, input),
    unpublishVolume: async (ctx, input) => unpublishVolume(ctx, deps, input),
    expandVolume: async (ctx, input) => expandVolume(ctx, deps, input),
    getVolumeStats: async (ctx, input) => getVolumeStats(ctx, deps, input),
    getVolumeHealth: async (ctx, input) => getVolumeHealth(ctx, deps, input),
    getStorageHealth: deps.storageHealth,
    getTopology: deps.topology,
  };
}

/** @throws DriverError FAILED_PRECONDITION when the volume's backend is not enabled here. */
export function backendOf(deps: NodeDependencies, id: VolumeId): NodeBackend {
  const backend = deps.backends.get(id.backend);
  if (backend !== undefined) return backend;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `the volume id is one of backend "${id.backend}", which this node does not serve: enable it by --backends`,
  );
}
