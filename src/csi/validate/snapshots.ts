import type { ContentSource, CreateSnapshotInput } from '../../backend/backend.js';
import type { ListInput } from '../../controller/controller-service.js';
import type { SnapshotInput } from '../../controller/delete-snapshot.js';
import type { ListSnapshotsInput } from '../../controller/list-snapshots.js';
import { DriverError } from '../../domain/errors.js';
import { parseSnapshotId } from '../../domain/snapshot-id.js';
import { parseVolumeId } from '../../domain/volume-id.js';
import type { csi } from '../gen/csi.js';
import { readCredentials } from './credentials.js';
import { invalid, requireName } from './fields.js';
import { readRequirement } from './topology.js';

export function readCreateSnapshot(request: csi.v1.CreateSnapshotRequest): CreateSnapshotInput {
  const name = requireName(request.name);
  if (request.source_volume_id === '')
    throw invalid('source_volume_id is empty: name the volume to take a snapshot of');
  const unknown = [...request.parameters.keys()].find((key) => !key.startsWith('csi.storage.k8s.io/'));
  if (unknown !== undefined) {
    throw invalid(
      `parameter "${unknown}" is unknown: a VolumeSnapshotClass takes none, what a snapshot is like follows from its volume`,
    );
  }
  const source = parseVolumeId(request.source_volume_id);
  if (source === undefined) throw new DriverError('NOT_FOUND', `volume "${request.source_volume_id}" does not exist`);
  return {
    name,
    source,
    credentials: readCredentials(request.secrets),
    requirement: readRequirement(request.accessibility_requirements),
  };
}

export function readSnapshot(request: csi.v1.DeleteSnapshotRequest | csi.v1.GetSnapshotRequest): SnapshotInput {
  const idText = request.snapshot_id;
  if (idText === '') throw invalid('snapshot_id is empty: name the snapshot');
  return { idText, id: parseSnapshotId(idText), credentials: readCredentials(request.secrets) };
}

export function readListSnapshots(request: csi.v1.ListSnapshotsRequest): ListSnapshotsInput {
  const { snapshot_id: snapshot, source_volume_id: source } = request;
  return {
    ...readPage(request),
    snapshot: snapshot === '' ? undefined : { idText: snapshot, id: parseSnapshotId(snapshot) },
    source: source === '' ? undefined : { id: parseVolumeId(source) },
    credentials: readCredentials(request.secrets),
  };
}

export function readPage(request: { readonly max_entries: number; readonly starting_token: string }): ListInput {
  if (request.max_entries < 0)
    throw invalid(`max_entries is ${request.max_entries}: use a positive number, or 0 for all`);
  return { maxEntries: request.max_entries, startingToken: request.starting_token };
}

/** @throws DriverError NOT_FOUND for an id that can't be one (CSI spec, CreateVolume Errors: "Source does not exist"). */
export function readSource(source: csi.v1.VolumeContentSource | undefined): ContentSource | undefined {
  if (source === undefined) return undefined;
  if (source.snapshot !== undefined) {
    const { snapshot_id: text } = source.snapshot;
    if (text === '') throw invalid('volume_content_source.snapshot.snapshot_id is empty: name the snapshot');
    const snapshot = parseSnapshotId(text);
    if (snapshot === undefined) throw new DriverError('NOT_FOUND', `snapshot "${text}" does not exist`);
    return { snapshot };
  }
  if (source.volume !== undefined) {
    const { volume_id: text } = source.volume;
    if (text === '') throw invalid('volume_content_source.volume.volume_id is empty: name the volume');
    const volume = parseVolumeId(text);
    if (volume === undefined) throw new DriverError('NOT_FOUND', `volume "${text}" does not exist`);
    return { volume };
  }
  throw invalid('volume_content_source names neither a snapshot nor a volume: set one of them, or leave it out');
}
