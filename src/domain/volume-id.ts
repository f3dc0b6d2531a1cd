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

/** A CephFS directory as CSI sees it. */
export interface CephfsVolumeId {
  readonly backend: 'cephfs';
  readonly clusterId: string;
  /** The file system's name (`ceph fs ls`). */
  readonly fsName: string;
  /** Absolute within the file system, e.g. `/volumes/csi/csi-vol-1`. */
  readonly path: string;
  /** The directory only says, in its record, which snapshot the volume shows (ADR 0017). */
  readonly isView?: true;
}

export type VolumeId = RbdVolumeId | CephfsVolumeId;

/** CSI spec, "Size Limits": a string field holds at most 128 bytes. */
export const maxVolumeIdBytes = 128;

const plain = /^[A-Za-z0-9._-]$/;
const encodedField = /^(?:[A-Za-z0-9._-]|%[0-9A-F]{2})*$/;
/** What ends the id of a volume that shows a snapshot. */
const viewMark = 'view';

/**
 * Writes a volume id: `rbd:<cluster>:<pool>:<namespace>:<image>` or `cephfs:<cluster>:<file system>:<path>`, every field
 * percent-encoded outside `A-Za-z0-9._-`, a path's `/` left as it is; one that shows a snapshot ends with `:view`.
 * @throws DriverError INVALID_ARGUMENT when it would pass 128 bytes.
 */
export function formatVolumeId(id: VolumeId): string {
  const text = [id.backend, ...fieldsOf(id)].join(':');
  if (text.length > maxVolumeIdBytes) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `the volume id would take ${text.length} bytes and CSI allows ${maxVolumeIdBytes}: ` +
        `shorten clusterID "${id.clusterId}", ${shortenable(id)}`,
    );
  }
  return text;
}

function fieldsOf(id: VolumeId): string[] {
  if (id.backend === 'rbd') return [id.clusterId, id.pool, id.namespace, id.image].map(encodeField);
  const fields = [encodeField(id.clusterId), encodeField(id.fsName), id.path.split('/').map(encodeField).join('/')];
  return id.isView === true ? [...fields, viewMark] : fields;
}

function shortenable(id: VolumeId): string {
  if (id.backend === 'rbd') return `pool "${id.pool}", the namespace "${id.namespace}" or volumeNamePrefix`;
  return `fsName "${id.fsName}", the path "${id.path}" (its root and group in the driver's configuration) or volumeNamePrefix`;
}

/** Reads a volume id strictly: one id per volume, so what format would not write is refused. undefined = no id of ours. */
export function parseVolumeId(text: string): VolumeId | undefined {
  if (text.length > maxVolumeIdBytes) return undefined;
  const [backend, ...fields] = text.split(':');
  if (backend === 'rbd' && fields.length === 4) return parseRbd(fields);
  if (backend === 'cephfs' && fields.length === 3) return parseCephfs(fields);
  if (backend === 'cephfs' && fields.length === 4 && fields[3] === viewMark) return viewOf(parseCephfs(fields));
  return undefined;
}

function parseRbd(fields: readonly string[]): RbdVolumeId | undefined {
  const [clusterId, pool, namespace, image] = fields.map(decodeField);
  if (clusterId === undefined || pool === undefined || namespace === undefined || image === undefined) return undefined;
  if (!isObjectName(clusterId) || !isObjectName(pool) || !isObjectName(image)) return undefined;
  if (namespace !== '' && !isObjectName(namespace)) return undefined;
  return { backend: 'rbd', clusterId, pool, namespace, image };
}

function parseCephfs(fields: readonly string[]): CephfsVolumeId | undefined {
  const [clusterId, fsName] = fields.map(decodeField);
  const names = fields[2]?.split('/').map(decodeField) ?? [];
  if (clusterId === undefined || fsName === undefined || names.includes(undefined)) return undefined;
  // Judged name by name: an encoded slash is part of none.
  if (names.some((name) => name?.includes('/') === true)) return undefined;
  const path = names.join('/');
  if (!isObjectName(clusterId) || !isObjectName(fsName) || !isDirectoryPath(path)) return undefined;
  return { backend: 'cephfs', clusterId, fsName, path };
}

function viewOf(id: CephfsVolumeId | undefined): CephfsVolumeId | undefined {
  return id === undefined ? undefined : { ...id, isView: true };
}

/**
 * Is this the one spelling of a directory's path: absolute, no empty, `.` or `..` component, no `/` at the end but the root's
 * own, no control characters?
 */
export function isDirectoryPath(path: string): boolean {
  if (path === '/') return true;
  const [first, ...names] = path.split('/');
  return first === '' && names.length > 0 && names.every(isFileName);
}

/** Is this a name that a directory can have, safe to put into a path? */
export function isFileName(name: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return name !== '' && name !== '.' && name !== '..' && !/[/\u0000-\u001f\u007f]/.test(name);
}

/**
 * Is this a name that can stand in a volume id? RBD takes `/` and `@` as separators in image specs (rbd(8)), and a name
 * of dots could climb a path somewhere.
 */
export function isObjectName(name: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return name !== '' && name !== '.' && name !== '..' && !/[/@\u0000-\u001f\u007f]/.test(name);
}

export function encodeField(value: string): string {
  let text = '';
  for (const byte of new TextEncoder().encode(value)) {
    const char = String.fromCharCode(byte);
    text += plain.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/** undefined for what encodeField() would not write. */
export function decodeField(text: string): string | undefined {
  if (!encodedField.test(text)) return undefined;
  try {
    const value = decodeURIComponent(text);
    return encodeField(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}
