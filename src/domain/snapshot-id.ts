import { DriverError } from './errors.js';
import {
  decodeField,
  encodeField,
  formatVolumeId,
  isFileName,
  isObjectName,
  maxVolumeIdBytes,
  parseVolumeId,
  type VolumeId,
} from './volume-id.js';

/** A snapshot as CSI sees it: the volume that it was taken of, and its name there. */
export interface SnapshotId<Id extends VolumeId = VolumeId> {
  readonly source: Id;
  readonly name: string;
}

/**
 * Writes a snapshot id: the source's volume id, `@`, and the name, percent-encoded like every field.
 * @throws DriverError INVALID_ARGUMENT when it would pass CSI's 128 bytes.
 */
export function formatSnapshotId(id: SnapshotId): string {
  const text = `${formatVolumeId(id.source)}@${encodeField(id.name)}`;
  if (text.length <= maxVolumeIdBytes) return text;
  throw new DriverError(
    'INVALID_ARGUMENT',
    `the snapshot id would take ${text.length} bytes and CSI allows ${maxVolumeIdBytes}: the id of its volume, ${formatVolumeId(id.source)}, is too long; volumes with shorter names, clusterID or group can be snapshotted`,
  );
}

/** Reads a snapshot id as strictly as a volume id. undefined = no id of ours. */
export function parseSnapshotId(text: string): SnapshotId | undefined {
  const at = text.indexOf('@');
  if (at < 0 || text.length > maxVolumeIdBytes) return undefined;
  const source = parseVolumeId(text.slice(0, at));
  const name = decodeField(text.slice(at + 1));
  if (source === undefined || name === undefined) return undefined;
  // What shows a snapshot has none of its own.
  if (source.backend === 'cephfs' && source.isView === true) return undefined;
  const isName = source.backend === 'rbd' ? isObjectName(name) : isFileName(name);
  return isName ? { source, name } : undefined;
}
