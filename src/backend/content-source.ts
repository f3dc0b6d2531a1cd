import { formatSnapshotId } from '../domain/snapshot-id.js';
import { formatVolumeId } from '../domain/volume-id.js';
import type { ContentSource } from './backend.js';

/** As text, for the volume's record and for messages. */
export function sourceText(source: ContentSource): string {
  return 'snapshot' in source ? formatSnapshotId(source.snapshot) : formatVolumeId(source.volume);
}
