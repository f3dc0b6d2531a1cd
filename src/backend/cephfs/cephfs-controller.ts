import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephClient } from '../../ceph/client.js';
import type { Clusters } from '../../ceph/clusters.js';
import { isReaderOnly, type VolumeCapability } from '../../domain/capability.js';
import { type CapacityRange, maxVolumeBytes, minVolumeBytes } from '../../domain/capacity.js';
import { DriverError, isDriverError } from '../../domain/errors.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { Logger } from '../../platform/logger.js';
import type {
  Capacity,
  ControllerBackend,
  CreateVolumeInput,
  GrownVolume,
  StringMap,
  Volume,
  VolumePage,
  VolumePlan,
} from '../backend.js';
import { TrashPurger } from '../trash-purger.js';
import { maxBytesAttribute, recordAttribute } from './attributes.js';
import { availableBytes } from './capacity.js';
import { CephfsSnapshotBackend } from './cephfs-snapshot-backend.js';
import { CopyJobs } from './copy-jobs.js';
import { abandonCopy } from './create-copy.js';
import { sizeOf } from './create-request.js';
import { planVolume } from './create-volume.js';
import { growQuota, keepSize } from './expand-volume.js';
import { hideDirectory } from './delete-volume.js';
import { DirectoryTrash, type GroupPlace } from './directory-trash.js';
import { FileSystems } from './file-systems.js';
import { listVolumes } from './list-volumes.js';
import { recordedVolume } from './recorded-volume.js';
import { deleteView } from './remove-snapshot.js';
import { whyReadOnly } from './views.js';
import { refuseUndeletable, trashPath } from './volume-paths.js';

export interface CephfsControllerDependencies {
  readonly clusters: Clusters;
  readonly ceph: CephClient;
  readonly log: Logger;
}

/** CephFS directories behind the Controller service. */
export class CephfsController implements ControllerBackend<CephfsVolumeId> {
  readonly kind = 'cephfs';
  readonly snapshots: CephfsSnapshotBackend;
  readonly #fileSystems: FileSystems;
  readonly #purger: TrashPurger<GroupPlace>;
  readonly #log: Logger;
  readonly #copies: CopyJobs;

  constructor(deps: CephfsControllerDependencies) {
    this.#fileSystems = new FileSystems(deps.clusters, deps.ceph);
    this.#log = deps.log;
    this.#purger = new TrashPurger<GroupPlace>({
      open: async (ctx, place, credentials) => {
        const id = { ...place, path: trashPath(place.groupPath) };
        const { fs } = await this.#fileSystems.open(ctx, id, credentials);
        return new DirectoryTrash(fs, place.groupPath);
      },
      keyOf: ({ clusterId, fsName, groupPath }) => JSON.stringify([clusterId, fsName, groupPath]),
      log: deps.log,
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
    const plan = planVolume(this.#fileSystems, this.#copies, input);
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
    const cluster = this.#fileSystems.clusters.find(id.clusterId);
    if (cluster === undefined) {
      // OK would make the orchestrator forget a volume that may well exist.
      throw new DriverError(
        'FAILED_PRECONDITION',
        `the volume id names cluster "${id.clusterId}", which this driver does not know: add it to the driver's configuration, then the volume can be deleted`,
      );
    }
    const { groupPath } = cluster.cephfs;
    refuseUndeletable(id, groupPath);
    try {
      const { fs } = await this.#fileSystems.open(ctx, id, credentials);
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

  async findVolume(
    ctx: CallContext,
    id: CephfsVolumeId,
    credentials: Credentials | undefined,
  ): Promise<Volume | undefined> {
    try {
      const { fs } = await this.#fileSystems.open(ctx, id, credentials);
      const found = await ifPresent(fs.attributes(ctx, id.path, [recordAttribute, maxBytesAttribute]));
      if (found === undefined) return undefined;
      const text = found.get(recordAttribute);
      const maxBytes = found.get(maxBytesAttribute);
      if (text === undefined) return id.isView ? undefined : { id, sizeBytes: sizeOf(maxBytes) ?? 0n, context: {} };
      const volume = recordedVolume(id, text, maxBytes);
      return volume.id.isView === id.isView ? volume : undefined;
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

  /** fs_type is not looked at: the external-provisioner puts its --default-fstype into every request that names none. */
  objection({ access, mode }: VolumeCapability, id?: CephfsVolumeId): string | undefined {
    if (id?.isView === true && !isReaderOnly(mode)) return whyReadOnly(id);
    if (access.type === 'block') {
      return 'a CephFS directory is no block device: use volumeMode Filesystem, or an RBD volume';
    }
    return undefined;
  }

  async capacity(ctx: CallContext, parameters: StringMap): Promise<Capacity> {
    return {
      availableBytes: await availableBytes(ctx, this.#fileSystems, parameters),
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
