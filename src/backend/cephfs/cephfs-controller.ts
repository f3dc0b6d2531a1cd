import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephClient } from '../../ceph/client.js';
import type { Clusters } from '../../ceph/clusters.js';
import { isReaderOnly, type VolumeCapability } from '../../domain/capability.js';
import { type CapacityRange, maxVolumeBytes, minVolumeBytes } from '../../domain/capacity.js';
import { DriverError, isDriverError } from '../../domain/errors.js';
import type { VolumeTrouble } from '../../domain/health.js';
import type { Segments } from '../../domain/topology.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { BackgroundCount, BackgroundKind } from '../../platform/background-count.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { Logger } from '../../platform/logger.js';
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
import { availableBytes } from './capacity.js';
import { CephfsSnapshotBackend } from './cephfs-snapshot-backend.js';
import { CopyJobs } from './copy-jobs.js';
import { abandonCopy } from './create-copy.js';
import { planVolume } from './create-volume.js';
import { growQuota, keepSize } from './expand-volume.js';
import { hideDirectory } from './delete-volume.js';
import { directoryAttachments, refuseInUse } from './directory-attachments.js';
import { DirectoryTrash, type GroupPlace } from './directory-trash.js';
import { FileSystems } from './file-systems.js';
import { listVolumes } from './list-volumes.js';
import { modifyDirectory } from './modify-volume.js';
import { parseMutableParameters } from './mutable-parameters.js';
import { readVolume } from './read-volume.js';
import { deleteView } from './remove-snapshot.js';
import { whyReadOnly } from './views.js';
import { refuseUndeletable, trashPath } from './volume-paths.js';
import { volumeTroubles } from './volume-troubles.js';

export interface CephfsControllerDependencies {
  readonly clusters: Clusters;
  readonly ceph: CephClient;
  readonly log: Logger;
  readonly count: (kind: BackgroundKind) => BackgroundCount;
}

/** CephFS directories behind the Controller service. */
export class CephfsController implements ControllerBackend<CephfsVolumeId> {
  readonly kind = 'cephfs';
  readonly snapshots: CephfsSnapshotBackend;
  readonly #fileSystems: FileSystems;
  readonly #purger: BackgroundQueue<GroupPlace>;
  readonly #log: Logger;
  readonly #copies: CopyJobs;

  constructor(deps: CephfsControllerDependencies) {
    this.#fileSystems = new FileSystems(deps.clusters, deps.ceph);
    this.#log = deps.log;
    this.#purger = new BackgroundQueue<GroupPlace>({
      open: async (ctx, place, credentials) => {
        const id = { ...place, path: trashPath(place.groupPath) };
        const { fs } = await this.#fileSystems.open(ctx, id, credentials);
        return new DirectoryTrash(fs, place.groupPath);
      },
      keyOf: ({ clusterId, fsName, groupPath }) => JSON.stringify([clusterId, fsName, groupPath]),
      log: deps.log,
      doing: 'freed the space of deleted volumes',
      count: deps.count('trash'),
    });
    this.#copies = new CopyJobs(deps.log);
    this.snapshots = new CephfsSnapshotBackend({
      fileSystems: this.#fileSystems,
      onTrashed: (place, credentials) => {
        this.#purger.schedule(place, credentials);
      },
      refuseWhileCopied: (path) => {
        if (!this.#copies.reads(path)) return;
        throw new DriverError('ABORTED', `a volume is being made from ${path}: repeat the request when it is there`);
      },
    });
  }

  planVolume(input: CreateVolumeInput): VolumePlan<CephfsVolumeId> {
    const onTrashed = () => {
      this.#purger.schedule(this.#groupOf(plan.id), input.credentials);
    };
    const plan = planVolume(this.#fileSystems, { jobs: this.#copies, onTrashed }, input);
    return {
      id: plan.id,
      create: async (ctx) => {
        const volume = await this.#purger.beside(async () => plan.create(ctx));
        this.#purger.meet(this.#groupOf(plan.id), input.credentials);
        return volume;
      },
    };
  }

  async deleteVolume(ctx: CallContext, id: CephfsVolumeId, credentials: Credentials | undefined): Promise<void> {
    const { groupPath } = this.#fileSystems.clusters.forRemoval(id, 'deleted').cephfs;
    refuseUndeletable(id, groupPath);
    try {
      const { fs } = await this.#fileSystems.open(ctx, id, credentials);
      await refuseInUse(ctx, fs, id);
      if (id.isView === true) {
        await deleteView(ctx, this.snapshots.removalPlace(fs, id, credentials), id, groupPath);
        return;
      }
      const home = await this.#purger.beside(async () => hideDirectory(ctx, fs, id, groupPath));
      const abandoned = home ?? (await abandonCopy(ctx, { fs, jobs: this.#copies, groupPath }, id));
      if (abandoned === undefined) this.#purger.meet(this.#groupOf(id), credentials);
      else this.#purger.schedule({ ...id, groupPath: abandoned }, credentials);
    } catch (error) {
      // The file system itself is gone, and with it the volume.
      if (isCephError(error, errno.ENOENT) && isDriverError(error, 'NOT_FOUND')) return;
      throw error;
    }
  }

  async attach(ctx: CallContext, id: CephfsVolumeId, input: AttachInput): Promise<Attached> {
    return attach(ctx, directoryAttachments(this.#fileSystems), id, input);
  }

  async detach(
    ctx: CallContext,
    id: CephfsVolumeId,
    node: string | undefined,
    credentials: Credentials | undefined,
  ): Promise<void> {
    this.#fileSystems.clusters.forRemoval(id, 'detached');
    await detach(ctx, directoryAttachments(this.#fileSystems), id, node, credentials);
  }

  async findVolume(
    ctx: CallContext,
    id: CephfsVolumeId,
    credentials: Credentials | undefined,
  ): Promise<FoundVolume | undefined> {
    try {
      const { fs } = await this.#fileSystems.open(ctx, id, credentials);
      const read = await readVolume(ctx, fs, id);
      if (read === undefined || (id.isView === true && !read.hasRecord)) return undefined;
      return read.volume.id.isView === id.isView ? read.volume : undefined;
    } catch (error) {
      if (isDriverError(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async expandVolume(
    ctx: CallContext,
    id: CephfsVolumeId,
    range: CapacityRange,
    credentials: Credentials | undefined,
  ): Promise<GrownVolume> {
    const { fs } = await this.#fileSystems.open(ctx, id, credentials);
    if (id.isView === true) return { sizeBytes: await keepSize(ctx, fs, id, range), needsNode: false };
    return { sizeBytes: await growQuota(ctx, fs, id, range), needsNode: false };
  }

  async modifyVolume(
    ctx: CallContext,
    id: CephfsVolumeId,
    mutableParameters: StringMap,
    credentials: Credentials | undefined,
  ): Promise<void> {
    const wanted = parseMutableParameters(mutableParameters);
    if (id.isView === true && Object.keys(mutableParameters).length > 0)
      throw new DriverError('INVALID_ARGUMENT', whyReadOnly(id));
    await modifyDirectory(ctx, await this.#fileSystems.open(ctx, id, credentials), id, wanted);
  }

  async troubles(
    ctx: CallContext,
    volumes: readonly VolumePlace<CephfsVolumeId>[],
    credentials: Credentials | undefined,
  ): Promise<VolumeTrouble[][]> {
    return volumeTroubles(ctx, this.#fileSystems, volumes, credentials);
  }

  /** fs_type is not looked at: the external-provisioner puts its --default-fstype into every request that names none. */
  objection({ access, mode }: VolumeCapability, id?: CephfsVolumeId): string | undefined {
    if (id?.isView === true && !isReaderOnly(mode)) return whyReadOnly(id);
    if (access.type === 'block') {
      return 'a CephFS directory is no block device: use volumeMode Filesystem, or an RBD volume';
    }
    return undefined;
  }

  async capacity(ctx: CallContext, parameters: StringMap, from?: Segments): Promise<Capacity> {
    return {
      availableBytes: await availableBytes(ctx, this.#fileSystems, parameters, from),
      maximumVolumeBytes: maxVolumeBytes,
      minimumVolumeBytes: minVolumeBytes,
    };
  }

  async listVolumes(ctx: CallContext, after: string, max: number): Promise<VolumePage> {
    return listVolumes(ctx, this.#fileSystems, after, max);
  }

  resumeBackgroundWork(): void {
    void this.#resume().catch((error: unknown) => {
      this.#log.info(
        { err: error },
        'what an earlier process left in the trash is looked for again on the first request of each file system',
      );
    });
  }

  async close(): Promise<void> {
    await this.#copies.close();
    await this.#purger.close();
  }

  async #resume(): Promise<void> {
    const ctx: CallContext = { signal: AbortSignal.timeout(60_000), log: this.#log, requestId: 'resume' };
    for (const cluster of this.#fileSystems.clusters.all()) {
      const connection = await this.#fileSystems.connect(ctx, cluster.id);
      for (const { name } of await connection.fileSystems(ctx)) {
        const place = { clusterId: cluster.id, fsName: name, groupPath: cluster.cephfs.groupPath };
        this.#purger.meet(place, undefined);
        // At once, the purger's look comes later: mounting ends the session of a predecessor that was killed, for which others wait.
        void this.#fileSystems.open(ctx, { ...place, path: place.groupPath }, undefined).catch(() => undefined);
      }
    }
  }

  #groupOf(id: CephfsVolumeId): GroupPlace {
    const { groupPath } = this.#fileSystems.clusters.require(id.clusterId).cephfs;
    return { clusterId: id.clusterId, fsName: id.fsName, groupPath };
  }
}
