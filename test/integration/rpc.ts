import { type CallOptions, Metadata, type ServiceError } from '@grpc/grpc-js';
import { csi } from '../../src/csi/gen/csi.js';
import { call, type Driver } from '../harness/driver.js';
import {
  type AttachOptions,
  attachRequest,
  type CreateOptions,
  createRequest,
  deleteRequest,
  detachRequest,
  type NodeOptions,
  publishRequest,
  requirementOf,
  stageRequest,
  topologyOf,
  unpublishRequest,
  unstageRequest,
  type Wanted,
} from '../harness/requests.js';
import {
  type ListedVolume,
  listedVolume,
  type Page,
  type Snapshot,
  snapshotOf,
  topologyIn,
  type Usage,
  type Volume,
} from './answers.js';

/** An emulated machine is given more. */
const defaultDeadlineMs = Number(process.env.CUTTLE_TEST_RPC_SECONDS ?? '60') * 1_000;

type Done<T> = (error: ServiceError | null, reply?: T) => void;

/** CSI's RPCs as promises, each with a deadline, so that no test hangs. */
export class Rpc {
  readonly #driver: () => Driver;
  readonly #deadlineMs: number;

  constructor(driver: () => Driver, deadlineMs = defaultDeadlineMs) {
    this.#driver = driver;
    this.#deadlineMs = deadlineMs;
  }

  /** The same driver, asked with another deadline. */
  within(deadlineMs: number): Rpc {
    return new Rpc(this.#driver, deadlineMs);
  }

  async create(name: string, options: CreateOptions = {}): Promise<Volume> {
    const request = createRequest(name, options);
    const { volume } = await this.#ask<csi.v1.CreateVolumeResponse>((driver, meta, opts, done) =>
      driver.controller.CreateVolume(request, meta, opts, done),
    );
    if (volume === undefined) throw new Error('CreateVolume answers without a volume');
    return {
      id: volume.volume_id,
      bytes: BigInt(volume.capacity_bytes),
      context: Object.fromEntries(volume.volume_context),
      ...topologyIn(volume),
    };
  }

  async delete(volumeId: string, secrets: Readonly<Record<string, string>> = {}): Promise<void> {
    const request = deleteRequest(volumeId, secrets);
    await this.#ask((driver, meta, opts, done) => driver.controller.DeleteVolume(request, meta, opts, done));
  }

  /** @returns what the answer says: the size, and whether nodes must be told. */
  async expand(
    volumeId: string,
    requiredBytes: bigint,
    limitBytes = 0n,
    secrets: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly bytes: bigint; readonly needsNode: boolean }> {
    const request = new csi.v1.ControllerExpandVolumeRequest({
      volume_id: volumeId,
      capacity_range: new csi.v1.CapacityRange({
        required_bytes: requiredBytes.toString(),
        limit_bytes: limitBytes.toString(),
      }),
      secrets: new Map(Object.entries(secrets)),
    });
    const reply = await this.#ask<csi.v1.ControllerExpandVolumeResponse>((driver, meta, opts, done) =>
      driver.controller.ControllerExpandVolume(request, meta, opts, done),
    );
    return { bytes: BigInt(reply.capacity_bytes), needsNode: reply.node_expansion_required };
  }

  async modify(
    volumeId: string,
    mutable: Readonly<Record<string, string>>,
    secrets: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const request = new csi.v1.ControllerModifyVolumeRequest({
      volume_id: volumeId,
      mutable_parameters: new Map(Object.entries(mutable)),
      secrets: new Map(Object.entries(secrets)),
    });
    await this.#ask((driver, meta, opts, done) => driver.controller.ControllerModifyVolume(request, meta, opts, done));
  }

  async expandNode(volumeId: string, volumePath: string, requiredBytes = 0n): Promise<void> {
    const request = new csi.v1.NodeExpandVolumeRequest({
      volume_id: volumeId,
      volume_path: volumePath,
      capacity_range: new csi.v1.CapacityRange({ required_bytes: requiredBytes.toString() }),
    });
    await this.#ask((driver, meta, opts, done) => driver.node.NodeExpandVolume(request, meta, opts, done));
  }

  async snapshot(
    name: string,
    volumeId: string,
    secrets: Readonly<Record<string, string>> = {},
    topology?: Wanted,
  ): Promise<Snapshot> {
    const request = new csi.v1.CreateSnapshotRequest({
      name,
      source_volume_id: volumeId,
      secrets: new Map(Object.entries(secrets)),
      ...(topology === undefined ? {} : { accessibility_requirements: requirementOf(topology) }),
    });
    const reply = await this.#ask<csi.v1.CreateSnapshotResponse>((driver, meta, opts, done) =>
      driver.controller.CreateSnapshot(request, meta, opts, done),
    );
    return snapshotOf(reply.snapshot);
  }

  async getSnapshot(snapshotId: string): Promise<Snapshot> {
    const request = new csi.v1.GetSnapshotRequest({ snapshot_id: snapshotId });
    const reply = await this.#ask<csi.v1.GetSnapshotResponse>((driver, meta, opts, done) =>
      driver.controller.GetSnapshot(request, meta, opts, done),
    );
    return snapshotOf(reply.snapshot);
  }

  async deleteSnapshot(snapshotId: string, secrets: Readonly<Record<string, string>> = {}): Promise<void> {
    const request = new csi.v1.DeleteSnapshotRequest({
      snapshot_id: snapshotId,
      secrets: new Map(Object.entries(secrets)),
    });
    await this.#ask((driver, meta, opts, done) => driver.controller.DeleteSnapshot(request, meta, opts, done));
  }

  async listSnapshots(
    filter: {
      readonly snapshot?: string;
      readonly source?: string;
      readonly max?: number;
      readonly token?: string;
    } = {},
  ): Promise<Page> {
    const request = new csi.v1.ListSnapshotsRequest({
      snapshot_id: filter.snapshot ?? '',
      source_volume_id: filter.source ?? '',
      max_entries: filter.max ?? 0,
      starting_token: filter.token ?? '',
    });
    const reply = await this.#ask<csi.v1.ListSnapshotsResponse>((driver, meta, opts, done) =>
      driver.controller.ListSnapshots(request, meta, opts, done),
    );
    return { ids: reply.entries.map((entry) => entry.snapshot?.snapshot_id ?? ''), next: reply.next_token };
  }

  async list(max = 0, token = ''): Promise<Page> {
    const request = new csi.v1.ListVolumesRequest({ max_entries: max, starting_token: token });
    const reply = await this.#ask<csi.v1.ListVolumesResponse>((driver, meta, opts, done) =>
      driver.controller.ListVolumes(request, meta, opts, done),
    );
    return { ids: reply.entries.map((entry) => entry.volume?.volume_id ?? ''), next: reply.next_token };
  }

  /** Everything that ListVolumes says, in one page. */
  async listed(): Promise<ListedVolume[]> {
    const request = new csi.v1.ListVolumesRequest();
    const reply = await this.#ask<csi.v1.ListVolumesResponse>((driver, meta, opts, done) =>
      driver.controller.ListVolumes(request, meta, opts, done),
    );
    return reply.entries.map(listedVolume);
  }

  async getVolume(volumeId: string): Promise<ListedVolume> {
    const request = new csi.v1.ControllerGetVolumeRequest({ volume_id: volumeId });
    const reply = await this.#ask<csi.v1.ControllerGetVolumeResponse>((driver, meta, opts, done) =>
      driver.controller.ControllerGetVolume(request, meta, opts, done),
    );
    return listedVolume(reply);
  }

  /** ControllerPublishVolume. @returns its publish_context. */
  async attach(volumeId: string, nodeId: string, options: AttachOptions = {}): Promise<Record<string, string>> {
    const request = attachRequest(volumeId, nodeId, options);
    const reply = await this.#ask<csi.v1.ControllerPublishVolumeResponse>((driver, meta, opts, done) =>
      driver.controller.ControllerPublishVolume(request, meta, opts, done),
    );
    return Object.fromEntries(reply.publish_context);
  }

  /** ControllerUnpublishVolume. @param nodeId '' = all of them */
  async detach(volumeId: string, nodeId: string, secrets: Readonly<Record<string, string>> = {}): Promise<void> {
    const request = detachRequest(volumeId, nodeId, secrets);
    await this.#ask((driver, meta, opts, done) =>
      driver.controller.ControllerUnpublishVolume(request, meta, opts, done),
    );
  }

  async capacity(
    parameters: Readonly<Record<string, string>> = {},
    from?: Readonly<Record<string, string>>,
  ): Promise<bigint> {
    const request = new csi.v1.GetCapacityRequest({
      parameters: new Map(Object.entries(parameters)),
      ...(from === undefined ? {} : { accessible_topology: topologyOf(from) }),
    });
    const reply = await this.#ask<csi.v1.GetCapacityResponse>((driver, meta, opts, done) =>
      driver.controller.GetCapacity(request, meta, opts, done),
    );
    return BigInt(reply.available_capacity);
  }

  /** @returns whether the capabilities are confirmed, and the sentence if they are not. */
  async validate(
    volumeId: string,
    capabilities: csi.v1.VolumeCapability[],
    context: Readonly<Record<string, string>> = {},
  ): Promise<{ confirmed: boolean; message: string }> {
    const request = new csi.v1.ValidateVolumeCapabilitiesRequest({
      volume_id: volumeId,
      volume_capabilities: capabilities,
      volume_context: new Map(Object.entries(context)),
    });
    const reply = await this.#ask<csi.v1.ValidateVolumeCapabilitiesResponse>((driver, meta, opts, done) =>
      driver.controller.ValidateVolumeCapabilities(request, meta, opts, done),
    );
    return { confirmed: reply.has_confirmed, message: reply.message };
  }

  async stage(volumeId: string, stagingPath: string, options: NodeOptions = {}): Promise<void> {
    const request = stageRequest(volumeId, stagingPath, options);
    await this.#ask((driver, meta, opts, done) => driver.node.NodeStageVolume(request, meta, opts, done));
  }

  async unstage(volumeId: string, stagingPath: string): Promise<void> {
    const request = unstageRequest(volumeId, stagingPath);
    await this.#ask((driver, meta, opts, done) => driver.node.NodeUnstageVolume(request, meta, opts, done));
  }

  async publish(volumeId: string, stagingPath: string, targetPath: string, options: NodeOptions = {}): Promise<void> {
    const request = publishRequest(volumeId, stagingPath, targetPath, options);
    await this.#ask((driver, meta, opts, done) => driver.node.NodePublishVolume(request, meta, opts, done));
  }

  async unpublish(volumeId: string, targetPath: string): Promise<void> {
    const request = unpublishRequest(volumeId, targetPath);
    await this.#ask((driver, meta, opts, done) => driver.node.NodeUnpublishVolume(request, meta, opts, done));
  }

  async stats(volumeId: string, path: string): Promise<Usage[]> {
    const request = new csi.v1.NodeGetVolumeStatsRequest({ volume_id: volumeId, volume_path: path });
    const reply = await this.#ask<csi.v1.NodeGetVolumeStatsResponse>((driver, meta, opts, done) =>
      driver.node.NodeGetVolumeStats(request, meta, opts, done),
    );
    return reply.usage.map((usage) => ({
      unit: csi.v1.VolumeUsage.Unit[usage.unit] as Usage['unit'],
      total: BigInt(usage.total),
      used: BigInt(usage.used),
      available: BigInt(usage.available),
    }));
  }

  async #ask<T>(start: (driver: Driver, meta: Metadata, options: CallOptions, done: Done<T>) => unknown): Promise<T> {
    const options = { deadline: Date.now() + this.#deadlineMs };
    return call<T>((done) => start(this.#driver(), new Metadata(), options, done));
  }
}
