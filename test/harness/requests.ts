import { csi } from '../../src/csi/gen/csi.js';

const { Mode } = csi.v1.VolumeCapability.AccessMode;
type ModeName = Exclude<keyof typeof Mode, 'UNKNOWN'>;

/** A capability for a mounted file system. */
export function mountCapability(
  mode: ModeName = 'SINGLE_NODE_WRITER',
  fsType = 'ext4',
  mountFlags: string[] = [],
): csi.v1.VolumeCapability {
  return new csi.v1.VolumeCapability({
    mount: new csi.v1.VolumeCapability.MountVolume({ fs_type: fsType, mount_flags: mountFlags }),
    access_mode: new csi.v1.VolumeCapability.AccessMode({ mode: Mode[mode] }),
  });
}

/** A capability for a raw block device. */
export function blockCapability(mode: ModeName = 'SINGLE_NODE_WRITER'): csi.v1.VolumeCapability {
  return new csi.v1.VolumeCapability({
    block: new csi.v1.VolumeCapability.BlockVolume(),
    access_mode: new csi.v1.VolumeCapability.AccessMode({ mode: Mode[mode] }),
  });
}

export interface CreateOptions {
  readonly requiredBytes?: bigint;
  readonly limitBytes?: bigint;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly mutable?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly capabilities?: csi.v1.VolumeCapability[];
  /** A snapshot's id, or a volume's. */
  readonly source?: { readonly snapshot: string } | { readonly volume: string };
  readonly topology?: Wanted;
}

/** Where something is to be reachable. */
export interface Wanted {
  readonly requisite?: readonly Readonly<Record<string, string>>[];
  readonly preferred?: readonly Readonly<Record<string, string>>[];
}

export function createRequest(name: string, options: CreateOptions = {}): csi.v1.CreateVolumeRequest {
  return new csi.v1.CreateVolumeRequest({
    name,
    capacity_range: new csi.v1.CapacityRange({
      required_bytes: (options.requiredBytes ?? 1n << 30n).toString(),
      limit_bytes: (options.limitBytes ?? 0n).toString(),
    }),
    volume_capabilities: options.capabilities ?? [mountCapability()],
    parameters: new Map(Object.entries(options.parameters ?? {})),
    mutable_parameters: new Map(Object.entries(options.mutable ?? {})),
    secrets: new Map(Object.entries(options.secrets ?? {})),
    ...(options.source === undefined ? {} : { volume_content_source: contentSource(options.source) }),
    ...(options.topology === undefined ? {} : { accessibility_requirements: requirementOf(options.topology) }),
  });
}

function contentSource(source: NonNullable<CreateOptions['source']>): csi.v1.VolumeContentSource {
  const { SnapshotSource, VolumeSource } = csi.v1.VolumeContentSource;
  return new csi.v1.VolumeContentSource(
    'snapshot' in source
      ? { snapshot: new SnapshotSource({ snapshot_id: source.snapshot }) }
      : { volume: new VolumeSource({ volume_id: source.volume }) },
  );
}

export function topologyOf(segments: Readonly<Record<string, string>>): csi.v1.Topology {
  return new csi.v1.Topology({ segments: new Map(Object.entries(segments)) });
}

export function requirementOf({ requisite = [], preferred = [] }: Wanted): csi.v1.TopologyRequirement {
  return new csi.v1.TopologyRequirement({
    requisite: requisite.map(topologyOf),
    preferred: preferred.map(topologyOf),
  });
}

export function deleteRequest(
  volumeId: string,
  secrets: Readonly<Record<string, string>> = {},
): csi.v1.DeleteVolumeRequest {
  return new csi.v1.DeleteVolumeRequest({ volume_id: volumeId, secrets: new Map(Object.entries(secrets)) });
}

export interface NodeOptions {
  readonly capability?: csi.v1.VolumeCapability;
  readonly context?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly readOnly?: boolean;
  /** What ControllerPublishVolume has answered. */
  readonly publishContext?: Readonly<Record<string, string>>;
}

export interface AttachOptions {
  readonly capability?: csi.v1.VolumeCapability;
  readonly readOnly?: boolean;
  readonly secrets?: Readonly<Record<string, string>>;
}

export function attachRequest(
  volumeId: string,
  nodeId: string,
  options: AttachOptions = {},
): csi.v1.ControllerPublishVolumeRequest {
  return new csi.v1.ControllerPublishVolumeRequest({
    volume_id: volumeId,
    node_id: nodeId,
    volume_capability: options.capability ?? mountCapability(),
    readonly: options.readOnly ?? false,
    secrets: new Map(Object.entries(options.secrets ?? {})),
  });
}

export function detachRequest(
  volumeId: string,
  nodeId: string,
  secrets: Readonly<Record<string, string>> = {},
): csi.v1.ControllerUnpublishVolumeRequest {
  return new csi.v1.ControllerUnpublishVolumeRequest({
    volume_id: volumeId,
    node_id: nodeId,
    secrets: new Map(Object.entries(secrets)),
  });
}

export function stageRequest(
  volumeId: string,
  stagingPath: string,
  options: NodeOptions = {},
): csi.v1.NodeStageVolumeRequest {
  return new csi.v1.NodeStageVolumeRequest({
    volume_id: volumeId,
    staging_target_path: stagingPath,
    volume_capability: options.capability ?? mountCapability(),
    volume_context: new Map(Object.entries(options.context ?? {})),
    publish_context: new Map(Object.entries(options.publishContext ?? {})),
    secrets: new Map(Object.entries(options.secrets ?? {})),
  });
}

export function unstageRequest(volumeId: string, stagingPath: string): csi.v1.NodeUnstageVolumeRequest {
  return new csi.v1.NodeUnstageVolumeRequest({ volume_id: volumeId, staging_target_path: stagingPath });
}

export function publishRequest(
  volumeId: string,
  stagingPath: string,
  targetPath: string,
  options: NodeOptions = {},
): csi.v1.NodePublishVolumeRequest {
  return new csi.v1.NodePublishVolumeRequest({
    volume_id: volumeId,
    staging_target_path: stagingPath,
    target_path: targetPath,
    volume_capability: options.capability ?? mountCapability(),
    readonly: options.readOnly ?? false,
    volume_context: new Map(Object.entries(options.context ?? {})),
    publish_context: new Map(Object.entries(options.publishContext ?? {})),
    secrets: new Map(Object.entries(options.secrets ?? {})),
  });
}

export function unpublishRequest(volumeId: string, targetPath: string): csi.v1.NodeUnpublishVolumeRequest {
  return new csi.v1.NodeUnpublishVolumeRequest({ volume_id: volumeId, target_path: targetPath });
}
