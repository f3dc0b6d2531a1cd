import type { GetVolumeInput } from '../../controller/get-volume.js';
import type { PublishVolumeInput } from '../../controller/publish-volume.js';
import type { UnpublishVolumeInput } from '../../controller/unpublish-volume.js';
import { parseVolumeId } from '../../domain/volume-id.js';
import type { csi } from '../gen/csi.js';
import { readCapability } from './capabilities.js';
import { readCredentials } from './credentials.js';
import { invalid, requireId } from './fields.js';

/** CSI spec, "Size Limits": node_id. */
const maxNodeIdBytes = 256;

/** The volume context is not looked at: the id alone suffices. */
export function readPublishVolume(request: csi.v1.ControllerPublishVolumeRequest): PublishVolumeInput {
  const idText = requireId(request.volume_id);
  if (request.node_id === '') throw invalid('node_id is empty: name the node, as its NodeGetInfo does');
  return {
    idText,
    id: parseVolumeId(idText),
    node: nodeId(request.node_id),
    capability: readCapability('volume_capability', request.volume_capability),
    readOnly: request.readonly,
    credentials: readCredentials(request.secrets),
  };
}

export function readUnpublishVolume(request: csi.v1.ControllerUnpublishVolumeRequest): UnpublishVolumeInput {
  return {
    id: parseVolumeId(requireId(request.volume_id)),
    node: nodeId(request.node_id),
    credentials: readCredentials(request.secrets),
  };
}

export function readGetVolume(request: csi.v1.ControllerGetVolumeRequest): GetVolumeInput {
  const idText = requireId(request.volume_id);
  return { idText, id: parseVolumeId(idText) };
}

function nodeId(value: string): string {
  const bytes = Buffer.byteLength(value);
  if (bytes > maxNodeIdBytes) throw invalid(`node_id has ${bytes} bytes and CSI allows ${maxNodeIdBytes}`);
  return value;
}
