import { DriverError } from './errors.js';

/** An RBD image as CSI sees it. Everything that DeleteVolume and NodeStageVolume need is in here (ADR 0002). */
export interface RbdVolumeId {
  readonly backend: 'rbd';
  readonly clusterId: string;
  readonly pool: string;
  /** RADOS namespace; '' is the pool's default one. */
  readonly namespace: string;
  readonly image: string;
}

export type VolumeId = RbdVolumeId;

/** CSI spec, "Size Limits": a string field holds at most 128 bytes. */
export const maxVolumeIdBytes = 128;

const plain = /^[A-Za-z0-9._-]$/;
const encodedField = /^(?:[A-Za-z0-9._-]|%[0-9A-F]{2})*$/;

/**
 * Writes a volume id: `rbd:<cluster>:<pool>:<namespace>:<image>`, every field percent-encoded outside `A-Za-z0-9._-`.
 * @throws DriverError INVALID_ARGUMENT when it would pass 128 bytes.
 */
export function formatVolumeId(id: VolumeId): string {
  const text = [id.backend, id.clusterId, id.pool, id.namespace, id.image].map(encodeField).join(':');
  if (text.length > maxVolumeIdBytes) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `the volume id would take ${text.length} bytes and CSI allows ${maxVolumeIdBytes}: ` +
        `shorten clusterID "${id.clusterId}", pool "${id.pool}", the namespace "${id.namespace}" or volumeNamePrefix`,
    );
  }
  return text;
}

/** Reads a volume id strictly: one id per volume, so what format would not write is refused. undefined = no id of ours. */
export function parseVolumeId(text: string): VolumeId | undefined {
  if (text.length > maxVolumeIdBytes) return undefined;
  const parts = text.split(':');
  if (parts.length !== 5 || parts[0] !== 'rbd') return undefined;
  const fields = parts.slice(1).map(decodeField);
  const [clusterId, pool, namespace, image] = fields;
  if (clusterId === undefined || pool === undefined || namespace === undefined || image === undefined) return undefined;
  if (!isObjectName(clusterId) || !isObjectName(pool) || !isObjectName(image)) return undefined;
  if (namespace !== '' && !isObjectName(namespace)) return undefined;
  return { backend: 'rbd', clusterId, pool, namespace, image };
}

/**
 * Is this a name that can stand in a volume id? RBD takes `/` and `@` as separators in image specs (rbd(8)), and a name
 * of dots could climb a path somewhere.
 */
export function isObjectName(name: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return name !== '' && name !== '.' && name !== '..' && !/[/@\u0000-\u001f\u007f]/.test(name);
}

function encodeField(value: string): string {
  let text = '';
  for (const byte of new TextEncoder().encode(value)) {
    const char = String.fromCharCode(byte);
    text += plain.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

function decodeField(text: string): string | undefined {
  if (!encodedField.test(text)) return undefined;
  try {
    const value = decodeURIComponent(text);
    return encodeField(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}
