import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephClient } from '../../ceph/client.js';
import type { Clusters } from '../../ceph/clusters.js';
import { isMultiNode, isReaderOnly, type VolumeCapability } from '../../domain/capability.js';
import { type CapacityRange, maxVolumeBytes, minVolumeBytes } from '../../domain/capacity.js';
import { isDriverError } from '../../domain/errors.js';
import type { VolumeTrouble } from '../../domain/health.js';
import type { Segments } from '../../domain/topology.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { BackgroundCount, BackgroundKind } from '../../platform/background-count.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { Logger } from '../../platform/logger.js';
import { attachedNodes } from '../attachment-record.js';
import { attach, detach } from '../attachments.js';
import type {
  Attached,
  AttachInput,
  Capacity,
  ControllerBackend,
  CreateVolumeInput,
  FoundVolume,
  GrownVolume,
  StringMap,
  VolumePage,
  VolumePlace,
  VolumePlan,
} from '../backend.js';
import { BackgroundQueue } from '../background-queue.js';
import { parseRecord } from '../volume-record.js';
import { chosenPlace } from './chosen-place.js';
import { availablePlaces } from './capacity.js';
import { planVolume } from './create-volume.js';
import { headerBytesIn } from './encryption.js';
import { growImage } from './expand-volume.js';
import { hideImage } from './delete-volume.js';
import { fileSystems } from './file-systems.js';
import { attachmentsIn, imageAttachments } from './image-attachments.js';
import { ImagePools } from './image-pools.js';
import { Flattener } from './flattener.js';
import { ImageTrash } from './image-trash.js';
import { listVolumes } from './list-volumes.js';
import { limitImage } from './modify-volume.js';
import { parseLimits } from './mutable-parameters.js';
import { nodeContext } from './parameters.js';
import { placeKey, type PoolPlace } from './pool-place.js';
import { RbdSnapshotBackend } from './rbd-snapshot-backend.js';
import { attachedKey, encryptedKey, recordKey, recordPlace } from './metadata-keys.js';
import { volumeTroubles } from './volume-troubles.js';

export interface RbdControllerDependencies {
  readonly clusters: Clusters;
  readonly ceph: CephClient;
  readonly log: Logger;
  readonly count: (kind: BackgroundKind) => BackgroundCount;
  /** Those that the driver's configuration names; none where topology doesn't matter. */
  readonly topologyKeys: () => readonly string[];
}

/** RBD images behind the Controller service. */
export class RbdController implements ControllerBackend<RbdVolumeId> {
  readonly kind = 'rbd';
  readonly snapshots: RbdSnapshotBackend;
  readonly #pools: ImagePools;
  readonly #purger: BackgroundQueue<PoolPlace>;
  readonly #flattener: Flattener;
  readonly #log: Logger;
  readonly #topologyKeys: () => readonly string[];

  constructor(deps: RbdControllerDependencies) {
    this.#pools = new ImagePools(deps.clusters, deps.ceph);
    this.#purger = new BackgroundQueue<PoolPlace>({
      open: async (ctx, place, credentials) => new ImageTrash((await this.#pools.open(ctx, place, credentials)).pool),
      keyOf: placeKey,
      log: deps.log,
      doing: 'freed the space of deleted volumes',
      count: deps.count('trash'),
    });
    this.#flattener = new Flattener({ pools: this.#pools, log: deps.log, count: deps.count('flatten') });
    this.#log = deps.log;
    this.#topologyKeys = deps.topologyKeys;
    this.snapshots = new RbdSnapshotBackend(this.#pools, (id, credentials) => {
      this.#purger.schedule(id, credentials);
    });
  }

  planVolume(input: CreateVolumeInput): VolumePlan {
    const deps = { pools: this.#pools, flattener: this.#flattener, topologyKeys: this.#topologyKeys };
    const plan = planVolume(deps, input);
    return {
      ...plan,
      create: async (ctx) => {
        const volume = await this.#beside(async () => plan.create(ctx));
        if (volume.id.backend === 'rbd') this.#meet(volume.id, input.credentials);
        return volume;
      },
    };
  }

  async deleteVolume(ctx: CallContext, id: RbdVolumeId, credentials: Credentials | undefined): Promise<void> {
    this.#pools.clusters.forRemoval(id, 'deleted');
    try {
      const { pool } = await this.#pools.open(ctx, id, credentials);
      const hidden = await this.#beside(async () => hideImage(ctx, pool, id, this.#flattener));
      if (hidden) this.#purger.schedule(id, credentials);
      this.#meet(id, credentials);
    } catch (error) {
      // The pool itself is gone, and with it the volume.
      if (isCephError(error, errno.ENOENT) && isDriverError(error, 'NOT_FOUND')) return;
      throw error;
    }
  }

  async attach(ctx: CallContext, id: RbdVolumeId, input: AttachInput): Promise<Attached> {
    return attach(ctx, imageAttachments(this.#pools), id, input);
  }

  async detach(
    ctx: CallContext,
    id: RbdVolumeId,
    node: string | undefined,
    credentials: Credentials | undefined,
  ): Promise<void> {
    this.#pools.clusters.forRemoval(id, 'detached');
    await detach(ctx, imageAttachments(this.#pools), id, node, credentials);
  }

  async findVolume(
    ctx: CallContext,
    id: RbdVolumeId,
    credentials: Credentials | undefined,
  ): Promise<FoundVolume | undefined> {
    try {
      const { pool } = await this.#pools.open(ctx, id, credentials);
      const header = await pool.images.header(ctx, id.image, [recordKey, attachedKey, encryptedKey]);
      const text = header.metadata.get(recordKey);
      const record = text === undefined ? undefined : parseRecord(text, recordPlace(id.image));
      return {
        id,
        sizeBytes: header.sizeBytes - headerBytesIn(header.metadata),
        context: nodeContext(record?.parameters ?? {}),
        nodes: attachedNodes(attachmentsIn(header, id.image)),
        ...chosenPlace(record),
      };
    } catch (error) {
      if (isDriverError(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async expandVolume(
    ctx: CallContext,
    id: RbdVolumeId,
    range: CapacityRange,
    credentials: Credentials | undefined,
  ): Promise<GrownVolume> {
    const { pool } = await this.#pools.open(ctx, id, credentials);
    return { sizeBytes: await growImage(ctx, pool, id, range), needsNode: true };
  }

  async modifyVolume(
    ctx: CallContext,
    id: RbdVolumeId,
    mutableParameters: StringMap,
    credentials: Credentials | undefined,
  ): Promise<void> {
    const limits = parseLimits(mutableParameters);
    const { pool } = await this.#pools.open(ctx, id, credentials);
    await limitImage(ctx, pool, id, limits);
  }

  async troubles(
    ctx: CallContext,
    volumes: readonly VolumePlace<RbdVolumeId>[],
    credentials: Credentials | undefined,
  ): Promise<VolumeTrouble[][]> {
    return volumeTroubles(ctx, this.#pools, volumes, credentials);
  }

  objection(capability: VolumeCapability): string | undefined {
    const { access, mode } = capability;
    if (access.type === 'block') return undefined;
    if (access.fsType !== '' && !fileSystems.includes(access.fsType)) {
      return `fs_type "${access.fsType}" is not supported for RBD images: use ${fileSystems.join(' or ')}`;
    }
    if (isMultiNode(mode) && !isReaderOnly(mode)) {
      return `access mode ${mode} with a mounted file system would corrupt it, because ${access.fsType || 'ext4'} can't be written from two nodes: use volumeMode Block, or CephFS`;
    }
    return undefined;
  }

  async capacity(ctx: CallContext, parameters: StringMap, from?: Segments): Promise<Capacity> {
    const places = await availablePlaces(ctx, this.#pools, parameters, from, this.#topologyKeys());
    const availableBytes = places.reduce((most, bytes) => (bytes > most ? bytes : most), 0n);
    return { availableBytes, maximumVolumeBytes: maxVolumeBytes, minimumVolumeBytes: minVolumeBytes };
  }

  async listVolumes(ctx: CallContext, after: string, max: number): Promise<VolumePage> {
    return listVolumes(ctx, this.#pools, after, max);
  }

  resumeBackgroundWork(): void {
    void this.#resume().catch((error: unknown) => {
      this.#log.info(
        { err: error },
        'what an earlier process left to do is looked for again on the first request of each pool',
      );
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#purger.close(), this.#flattener.close()]);
  }

  /** While there are requests, work in the background steps back. */
  async #beside<T>(request: () => Promise<T>): Promise<T> {
    return this.#purger.beside(async () => this.#flattener.beside(request));
  }

  #meet(place: PoolPlace, credentials: Credentials | undefined): void {
    this.#purger.meet(place, credentials);
    this.#flattener.meet(place, credentials);
  }

  async #resume(): Promise<void> {
    const ctx: CallContext = { signal: AbortSignal.timeout(60_000), log: this.#log, requestId: 'resume' };
    for (const cluster of this.#pools.clusters.all()) {
      const connection = await this.#pools.connect(ctx, cluster.id);
      for (const pool of await connection.poolsOfApplication(ctx, 'rbd')) {
        this.#meet({ clusterId: cluster.id, pool, namespace: cluster.rbdNamespace }, undefined);
      }
    }
  }
}
