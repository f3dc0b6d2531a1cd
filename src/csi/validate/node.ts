import type { StageInput } from '../../backend/backend.js';
import { DriverError } from '../../domain/errors.js';
import { parseVolumeId, type VolumeId } from '../../domain/volume-id.js';
import type { PublishInput, UnpublishInput, UnstageInput } from '../../node/node-service.js';
import type { ExpandInput } from '../../node/expand-volume.js';
import type { VolumePathInput } from '../../node/volume-at.js';
import type { csi } from '../gen/csi.js';
import { readCapability } from './capabilities.js';
import { readPublishContext } from '../publish-context.js';
import { readCredentials, readPassphrase } from './credentials.js';
import { invalid, readInt64, readMap, requireId, requirePath } from './fields.js';

export function readStage(request: csi.v1.NodeStageVolumeRequest): StageInput {
  const idText = requireId(request.volume_id);
  const stagingPath = requirePath('staging_target_path', request.staging_target_path);
  const capability = readCapability('volume_capability', request.volume_capability);
  const credentials = readCredentials(request.secrets);
  return {
    id: knownId(idText),
    stagingPath,
    capability,
    context: readMap('volume_context', request.volume_context),
    attached: readPublishContext(request.publish_context),
    credentials,
    passphrase: readPassphrase(request.secrets),
  };
}

export function readUnstage(request: csi.v1.NodeUnstageVolumeRequest): UnstageInput {
  const idText = requireId(request.volume_id);
  return {
    idText,
    id: parseVolumeId(idText),
    stagingPath: requirePath('staging_target_path', request.staging_target_path),
  };
}

export function readPublish(request: csi.v1.NodePublishVolumeRequest): PublishInput {
  const idText = requireId(request.volume_id);
  const targetPath = requirePath('target_path', request.target_path);
  const capability = readCapability('volume_capability', request.volume_capability);
  if (request.staging_target_path === '') {
    throw new DriverError(
      'FAILED_PRECONDITION',
      'staging_target_path is missing: this driver stages volumes, call NodeStageVolume and name its path',
    );
  }
  const stagingPath = requirePath('staging_target_path', request.staging_target_path);
  const attached = readPublishContext(request.publish_context);
  return {
    id: knownId(idText),
    stagingPath,
    targetPath,
    capability,
    readOnly: request.readonly || attached.readOnly,
    context: readMap('volume_context', request.volume_context),
    attached,
    credentials: readCredentials(request.secrets),
    passphrase: readPassphrase(request.secrets),
  };
}

export function readUnpublish(request: csi.v1.NodeUnpublishVolumeRequest): UnpublishInput {
  return { idText: requireId(request.volume_id), targetPath: requirePath('target_path', request.target_path) };
}

/** A relative path is where no volume is, not a malformed request (csi-sanity asks for `some/path`). */
export function readStats(request: csi.v1.NodeGetVolumeStatsRequest): VolumePathInput {
  const idText = requireId(request.volume_id);
  if (request.volume_path === '')
    throw invalid('volume_path is empty: name the path where the volume is published or staged');
  return { idText, id: parseVolumeId(idText), volumePath: request.volume_path };
}

/** The capability says nothing that the mount table doesn't. */
export function readExpand(request: csi.v1.NodeExpandVolumeRequest): ExpandInput {
  const idText = requireId(request.volume_id);
  if (request.volume_path === '') throw invalid('volume_path is empty: name the path where the volume is published');
  const requiredBytes = request.capacity_range === undefined ? 0n : readInt64(request.capacity_range.required_bytes);
  return {
    idText,
    id: parseVolumeId(idText),
    volumePath: request.volume_path,
    requiredBytes,
    credentials: readCredentials(request.secrets),
  };
}

function knownId(idText: string): VolumeId {
  const id = parseVolumeId(idText);
  if (id !== undefined) return id;
  throw new DriverError(
    'NOT_FOUND',
    `volume_id "${idText}" is not one of Cuttle's, which look like rbd:<clusterID>:<pool>:<namespace>:<image> or cephfs:<clusterID>:<file system>:<path>: correct it in the PersistentVolume`,
  );
}
