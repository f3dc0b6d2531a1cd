import type { Volume } from '../backend/backend.js';
import { formatVolumeId } from '../domain/volume-id.js';
import { csi } from './gen/csi.js';
import { reachMessage } from './topology-message.js';

export function volumeMessage(volume: Volume): csi.v1.Volume {
  return new csi.v1.Volume({
    volume_id: formatVolumeId(volume.id),
    capacity_bytes: volume.sizeBytes.toString(),
    volume_context: new Map(Object.entries(volume.context)),
    accessible_topology: reachMessage(volume.reach),
  });
}
