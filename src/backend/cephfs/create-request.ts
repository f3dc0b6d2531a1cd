import type { CephFileSystem } from '../../ceph/client.js';
import { type CapacityRange, chooseSize, sizeFits } from '../../domain/capacity.js';
import { DriverError } from '../../domain/errors.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { CreateVolumeInput, Volume } from '../backend.js';
import { firstDifference, parseRecord, type VolumeRecord } from '../volume-record.js';
import {
  maxBytesAttribute,
  maxFilesAttribute,
  poolAttribute,
  poolNamespaceAttribute,
  recordAttribute,
  recordPlace,
} from './attributes.js';
import { type CephfsParameters, nodeContext } from './parameters.js';

/** ceph-fuse before Ceph 17 counts a quota's size in blocks of 4 MiB: a multiple is what df then shows exactly. */
const quotaUnitBytes = 4n << 20n;

/** A CreateVolume request, checked, with what follows from it. */
export interface CreateRequest {
  readonly input: CreateVolumeInput;
  readonly id: CephfsVolumeId;
  readonly sizeBytes: bigint;
  readonly parameters: CephfsParameters;
  readonly record: VolumeRecord;
}

/** The quota for a range: a multiple of 4 MiB where the range allows one. @throws as chooseSize(). */
export function quotaFor(range: CapacityRange | undefined): bigint {
  const sizeBytes = chooseSize(range);
  const whole = ((sizeBytes + quotaUnitBytes - 1n) / quotaUnitBytes) * quotaUnitBytes;
  return sizeFits(whole, range) ? whole : sizeBytes;
}

export async function setLayoutAndQuota(
  ctx: CallContext,
  fs: CephFileSystem,
  request: CreateRequest,
  path = request.id.path,
): Promise<void> {
  const { id, parameters, sizeBytes } = request;
  // The size comes last: a directory that has one is whole.
  const attributes = new Map([
    ...(parameters.maxFiles === undefined ? [] : [[maxFilesAttribute, parameters.maxFiles.toString()] as const]),
    ...(parameters.pool === undefined ? [] : [[poolAttribute, parameters.pool] as const]),
    ...(parameters.namespaceIsolated ? [[poolNamespaceAttribute, isolationNamespace(id)] as const] : []),
    [maxBytesAttribute, sizeBytes.toString()],
  ]);
  // One after the other: the MDS makes two at once on one directory wait for each other.
  for (const [name, value] of attributes) await fs.setAttribute(ctx, path, name, value);
}

/** The name that Ceph's volumes module gives the RADOS namespace of an isolated subvolume. */
function isolationNamespace(id: CephfsVolumeId): string {
  return `fsvolumens_${id.path.slice(id.path.lastIndexOf('/') + 1)}`;
}

/** For a directory with a record. @throws DriverError ALREADY_EXISTS when it is not what is asked for. */
export async function answerExisting(
  ctx: CallContext,
  fs: CephFileSystem,
  request: CreateRequest,
  found: ReadonlyMap<string, string>,
): Promise<Volume> {
  const { id, input } = request;
  const record = parseRecord(found.get(recordAttribute) ?? '', recordPlace(id.path));
  const difference = firstDifference(record, request.record);
  if (difference !== undefined) throw conflict(request, difference);
  if (record.shows !== undefined) throw conflict(request, 'it shows its snapshot, and is no copy');
  const quotaBytes = sizeOf(found.get(maxBytesAttribute));
  const sizeBytes = quotaBytes ?? (record.sizeBytes === undefined ? undefined : BigInt(record.sizeBytes));
  if (sizeBytes !== undefined && !sizeFits(sizeBytes, input.capacity)) {
    throw conflict(request, `it has ${sizeBytes.toString()} bytes, which is outside of capacity_range`);
  }
  // The create that wrote the record was cut off before the quota, or is about to write it: the same values once more do no harm.
  if (quotaBytes === undefined)
    await setLayoutAndQuota(ctx, fs, { ...request, sizeBytes: sizeBytes ?? request.sizeBytes });
  return volumeOf(request, sizeBytes ?? request.sizeBytes);
}

/** undefined for no quota, which CephFS writes as 0 or not at all. */
export function sizeOf(maxBytes: string | undefined): bigint | undefined {
  return maxBytes === undefined || maxBytes === '0' ? undefined : BigInt(maxBytes);
}

export function conflict(request: CreateRequest, why: string): DriverError {
  return new DriverError(
    'ALREADY_EXISTS',
    `volume "${request.input.name}" exists already as ${request.id.path} of file system "${request.id.fsName}" and does not fit this request: ${why}; use another name or the same request`,
  );
}

export function volumeOf(request: CreateRequest, sizeBytes: bigint): Volume {
  return { id: request.id, sizeBytes, context: nodeContext(request.input.parameters) };
}
