import type { ListInput } from '../../controller/controller-service.js';
import type { GetVolumeHealthInput } from '../../controller/get-volume-health.js';
import { parseVolumeId } from '../../domain/volume-id.js';
import type { NodeVolumeHealthInput } from '../../node/get-volume-health.js';
import type { csi } from '../gen/csi.js';
import { readCredentials } from './credentials.js';
import { requireId } from './fields.js';
import { readPage } from './snapshots.js';

export function readGetVolumeHealth(request: csi.v1.ControllerGetVolumeHealthRequest): GetVolumeHealthInput {
  const idText = requireId(request.volume_id);
  return { idText, id: parseVolumeId(idText), credentials: readCredentials(request.secrets) };
}

/** The secrets are checked and not used: a list of all clusters' volumes is made with the clusters' own credentials. */
export function readListVolumeHealth(request: csi.v1.ControllerListVolumeHealthRequest): ListInput {
  readCredentials(request.secrets);
  return readPage(request);
}

/** A relative path is where no volume is, not a malformed request, as for NodeGetVolumeStats. */
export function readNodeVolumeHealth(request: csi.v1.NodeGetVolumeHealthRequest): NodeVolumeHealthInput {
  const idText = requireId(request.volume_id);
  return {
    idText,
    id: parseVolumeId(idText),
    publishPath: pathOrNone(request.volume_publish_path),
    stagingPath: pathOrNone(request.staging_target_path),
  };
}

function pathOrNone(path: string): string | undefined {
  if (path === '') return undefined;
  return path.length > 1 ? path.replace(/\/+$/, '') : path;
}
