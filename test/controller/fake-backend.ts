import { type AttachmentRecord, noAttachments, withNode, withoutNode } from '../../src/backend/attachment-record.js';
import type { ControllerBackend, FoundVolume, Snapshot } from '../../src/backend/backend.js';
import { snapshotNameFor } from '../../src/backend/object-name.js';
import type { BackendKind } from '../../src/domain/backend-kind.js';
import { DriverError } from '../../src/domain/errors.js';
import type { VolumeTrouble } from '../../src/domain/health.js';
import { formatSnapshotId } from '../../src/domain/snapshot-id.js';
import { formatVolumeId, type RbdVolumeId, type VolumeId } from '../../src/domain/volume-id.js';

export const idOf = (image: string): RbdVolumeId => ({
  backend: 'rbd',
  clusterId: 'a',
  pool: 'p',
  namespace: '',
  image,
});

/** The name that idOf was given. */
export const imageOf = (id: VolumeId): string => (id.backend === 'rbd' ? id.image : id.path);

/** Snapshots in memory. */
function fakeSnapshots(): ControllerBackend['snapshots'] {
  const taken = new Map<string, Snapshot>();
  return {
    create: async (_ctx, { name, source }) => {
      const snapshot = { id: { source, name: snapshotNameFor(name) }, sizeBytes: 1n, createdMs: 0 };
      taken.set(formatSnapshotId(snapshot.id), snapshot);
      return Promise.resolve(snapshot);
    },
    delete: async (_ctx, id) => {
      taken.delete(formatSnapshotId(id));
      return Promise.resolve();
    },
    find: async (_ctx, id) => Promise.resolve(taken.get(formatSnapshotId(id))),
    of: async (_ctx, source) =>
      Promise.resolve([...taken.values()].filter(({ id }) => formatVolumeId(id.source) === formatVolumeId(source))),
    list: async (_ctx, after, max) => {
      const rest = [...taken.keys()].sort().filter((id) => id > after);
      const page = max === 0 ? rest : rest.slice(0, max);
      const snapshots = page.flatMap((id) => taken.get(id) ?? []);
      return Promise.resolve({ snapshots, next: page.length < rest.length ? page.at(-1) : undefined });
    },
  };
}

/** A backend in memory. `beforeWork` lets a test hold the work of create and delete. */
export class FakeController implements ControllerBackend {
  readonly kind: BackendKind;
  readonly volumes = new Map<string, FoundVolume>();
  #record: AttachmentRecord = noAttachments;
  readonly calls: string[] = [];
  readonly snapshots = fakeSnapshots();
  beforeWork: () => Promise<void> = async () => Promise.resolve();

  constructor(kind = 'rbd') {
    this.kind = kind as BackendKind;
  }

  planVolume: ControllerBackend['planVolume'] = (input) => {
    const id = idOf(input.name);
    return {
      id,
      create: async () => {
        this.calls.push(`create ${input.name}`);
        await this.beforeWork();
        const volume = { id, sizeBytes: input.capacity?.requiredBytes ?? 1n, context: { mounter: 'krbd' }, nodes: [] };
        this.volumes.set(formatVolumeId(id), volume);
        return volume;
      },
    };
  };

  deleteVolume: ControllerBackend['deleteVolume'] = async (_ctx, id) => {
    this.calls.push(`delete ${imageOf(id)}`);
    await this.beforeWork();
    this.volumes.delete(formatVolumeId(id));
  };

  findVolume: ControllerBackend['findVolume'] = async (_ctx, id) =>
    Promise.resolve(this.volumes.get(formatVolumeId(id)));

  /** By volume, as its id's image. */
  readonly sick = new Map<string, readonly VolumeTrouble[]>();
  troubles: ControllerBackend['troubles'] = async (_ctx, volumes) => {
    this.calls.push(`troubles of ${volumes.map(({ id }) => imageOf(id)).join(', ')}`);
    return Promise.resolve(volumes.map(({ id }) => this.sick.get(imageOf(id)) ?? []));
  };

  /** As a backend with one volume would. */
  attach: ControllerBackend['attach'] = async (_ctx, id, { node, capability, readOnly }) => {
    this.calls.push(`attach ${imageOf(id)} to ${node}`);
    await this.beforeWork();
    this.#record = withNode(this.#record, id, node, { capability, readOnly });
    return { fencedClients: [] };
  };

  detach: ControllerBackend['detach'] = async (_ctx, id, node) => {
    this.calls.push(`detach ${imageOf(id)} from ${node ?? 'all'}`);
    await this.beforeWork();
    this.#record = node === undefined ? noAttachments : withoutNode(this.#record, node);
  };

  expandVolume: ControllerBackend['expandVolume'] = async (_ctx, id, range) => {
    this.calls.push(`expand ${imageOf(id)}`);
    await this.beforeWork();
    return { sizeBytes: range.requiredBytes, needsNode: true };
  };

  modifyVolume: ControllerBackend['modifyVolume'] = async (_ctx, id, mutableParameters) => {
    this.calls.push(`modify ${imageOf(id)} ${JSON.stringify(mutableParameters)}`);
    await this.beforeWork();
  };

  objection: ControllerBackend['objection'] = ({ access }) =>
    access.type === 'mount' && access.fsType === 'ntfs' ? 'fs_type "ntfs" is not supported' : undefined;

  capacity: ControllerBackend['capacity'] = async () =>
    Promise.resolve({ availableBytes: 100n, maximumVolumeBytes: 50n, minimumVolumeBytes: 1n });

  listVolumes: ControllerBackend['listVolumes'] = async (_ctx, after, max) => {
    const rest = [...this.volumes.values()].filter(({ id }) => imageOf(id) > after);
    if (after !== '' && !/^[a-z0-9-]+$/.test(after)) throw new DriverError('ABORTED', 'no such place');
    const volumes = max === 0 ? rest : rest.slice(0, max);
    const last = volumes.at(-1);
    const next = last !== undefined && volumes.length < rest.length ? imageOf(last.id) : undefined;
    return Promise.resolve({ volumes, next });
  };

  resumeBackgroundWork(): void {
    this.calls.push('resume');
  }

  async close(): Promise<void> {
    return Promise.resolve();
  }

  add(...images: string[]): this {
    for (const image of images)
      this.volumes.set(formatVolumeId(idOf(image)), {
        id: idOf(image),
        sizeBytes: 1n,
        context: { mounter: 'krbd' },
        nodes: [],
      });
    return this;
  }
}
