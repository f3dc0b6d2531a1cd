import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { type CapacityRange, chooseSize, sizeFits } from '../../domain/capacity.js';
import { DriverError, isDriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { CreateVolumeInput, Volume, VolumePlan } from '../backend.js';
import { objectNameFor } from '../object-name.js';
import { firstDifference, parseRecord, recordOf, type VolumeRecord } from '../volume-record.js';
import {
  maxBytesAttribute,
  maxFilesAttribute,
  poolAttribute,
  poolNamespaceAttribute,
  recordAttribute,
  recordPlace,
} from './attributes.js';
import type { FileSystems, OpenedFileSystem } from './file-systems.js';
import { type CephfsParameters, nodeContext, parseParameters } from './parameters.js';
import { parentOf, volumePath } from './volume-paths.js';

/** Of a group's directories: volumes below them have modes of their own. */
const groupMode = 0o755;
/** ceph-fuse before Ceph 17 counts a quota's size in blocks of 4 MiB: a multiple is what df then shows exactly. */
const quotaUnitBytes = 4n << 20n;

/** Answers upon which an orchestrator doesn't repeat its request. */
const finalCodes = ['PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'INVALID_ARGUMENT'] as const;

interface Request {
  readonly input: CreateVolumeInput;
  readonly id: CephfsVolumeId;
  readonly sizeBytes: bigint;
  readonly parameters: CephfsParameters;
  readonly record: VolumeRecord;
}

/** Everything that can be judged without Ceph. @throws DriverError INVALID_ARGUMENT, OUT_OF_RANGE. */
export function planVolume(fileSystems: FileSystems, input: CreateVolumeInput): VolumePlan<CephfsVolumeId> {
  const parameters = parseParameters(input.parameters);
  const cluster = fileSystems.clusters.require(parameters.clusterId);
  const id: CephfsVolumeId = {
    backend: 'cephfs',
    clusterId: cluster.id,
    fsName: parameters.fsName ?? cluster.cephfs.fsName,
    path: volumePath(cluster, objectNameFor(input.name, parameters.namePrefix)),
  };
  formatVolumeId(id); // refuses an id that CSI could not carry, before anything is made
  const sizeBytes = quotaFor(input.capacity);
  const request = { input, id, parameters, sizeBytes, record: recordOf(input.name, input.parameters, sizeBytes) };
  return { id, create: async (ctx) => create(ctx, fileSystems, request) };
}

/** The quota for a range: a multiple of 4 MiB where the range allows one. @throws as chooseSize(). */
export function quotaFor(range: CapacityRange | undefined): bigint {
  const sizeBytes = chooseSize(range);
  const whole = ((sizeBytes + quotaUnitBytes - 1n) / quotaUnitBytes) * quotaUnitBytes;
  return sizeFits(whole, range) ? whole : sizeBytes;
}

async function create(ctx: CallContext, fileSystems: FileSystems, request: Request): Promise<Volume> {
  const opened = await openFor(ctx, fileSystems, request);
  if (request.parameters.pool !== undefined) await refuseForeignPool(ctx, opened, request, request.parameters.pool);
  if (!(await makeDirectory(ctx, opened.fs, request))) return adopt(ctx, opened.fs, request);
  try {
    return await claim(ctx, opened.fs, request);
  } catch (error) {
    // After any other error the orchestrator comes again, and the directory is completed.
    if (finalCodes.some((code) => isDriverError(error, code))) await discard(ctx, opened.fs, request);
    throw error;
  }
}

/** Takes back the directory that has just been made: the orchestrator forgets a volume that was refused. */
async function discard(ctx: CallContext, fs: CephFileSystem, { id }: Request): Promise<void> {
  try {
    const [entries, quota] = await Promise.all([
      fs.list(ctx, id.path),
      fs.attributes(ctx, id.path, [maxBytesAttribute]),
    ]);
    // With a quota it is somebody's: another controller that may more has completed it.
    if (entries.length === 0 && quota.size === 0) await fs.removeTree(ctx, id.path, { concurrency: 1 });
  } catch (error) {
    ctx.log.warn({ err: error, path: id.path }, 'a directory that could not become a volume could not be removed');
  }
}

/** At the group, or above it where it is still to be made: the volume's own directory isn't there yet. */
async function openFor(ctx: CallContext, fileSystems: FileSystems, request: Request): Promise<OpenedFileSystem> {
  const { id, input } = request;
  const group = { ...id, path: parentOf(id.path) };
  try {
    return await fileSystems.open(ctx, group, input.credentials);
  } catch (error) {
    const isMissing = isDriverError(error, 'NOT_FOUND');
    if (!isMissing && !isDriverError(error, 'PERMISSION_DENIED')) throw error;
    const connection = await fileSystems.connect(ctx, id.clusterId, input.credentials);
    if (isMissing && !(await connection.fileSystems(ctx)).some(({ name }) => name === id.fsName))
      throw new DriverError('INVALID_ARGUMENT', error.message, { cause: error });
    throw new DriverError(
      'PERMISSION_DENIED',
      `${error.message}; it needs mds 'allow rwp path=${group.path}', and that directory must be there: if it isn't, it has to be made once by a user who may (ceph fs subvolumegroup create, or mkdir)`,
      { cause: error },
    );
  }
}

/** The MDS takes any pool's name and says EINVAL only; a volume that can't hold data must not be made. */
async function refuseForeignPool(
  ctx: CallContext,
  { connection }: OpenedFileSystem,
  { id }: Request,
  pool: string,
): Promise<void> {
  const pools = (await connection.fileSystems(ctx)).find((one) => one.name === id.fsName)?.dataPools ?? [];
  if (pools.includes(pool)) return;
  throw new DriverError(
    'INVALID_ARGUMENT',
    `pool "${pool}" is no data pool of file system "${id.fsName}" in cluster "${id.clusterId}", which has ${pools.join(', ')}: name one of these, or add it (ceph fs add_data_pool ${id.fsName} ${pool})`,
  );
}

/** @returns false when there is such a directory already. */
async function makeDirectory(ctx: CallContext, fs: CephFileSystem, request: Request): Promise<boolean> {
  const { id, parameters } = request;
  const directory = { mode: parameters.mode, ...parameters.owner, attributes: new Map<string, string>() };
  try {
    await fs.makeDirectory(ctx, id.path, directory);
    return true;
  } catch (error) {
    if (isCephError(error, errno.EEXIST)) return false;
    if (!isCephError(error, errno.ENOENT)) throw error;
  }
  // The first volume of the group.
  await fs.makeDirectories(ctx, parentOf(id.path), groupMode);
  try {
    await fs.makeDirectory(ctx, id.path, directory);
    return true;
  } catch (error) {
    if (isCephError(error, errno.EEXIST)) return false;
    throw error;
  }
}

/**
 * The directory has just been made, or a create of it was cut off before its record was written. The record is written exclusively
 * and before all else: it decides whose the volume is and how large.
 */
async function claim(ctx: CallContext, fs: CephFileSystem, request: Request): Promise<Volume> {
  if (!(await fs.setAttribute(ctx, request.id.path, recordAttribute, JSON.stringify(request.record), true)))
    return adopt(ctx, fs, request);
  await setLayoutAndQuota(ctx, fs, request);
  return volumeOf(request, request.sizeBytes);
}

/** The size comes last: a directory that has one is whole. */
async function setLayoutAndQuota(ctx: CallContext, fs: CephFileSystem, request: Request): Promise<void> {
  const { id, parameters, sizeBytes } = request;
  const attributes = new Map([
    ...(parameters.maxFiles === undefined ? [] : [[maxFilesAttribute, parameters.maxFiles.toString()] as const]),
    ...(parameters.pool === undefined ? [] : [[poolAttribute, parameters.pool] as const]),
    ...(parameters.namespaceIsolated ? [[poolNamespaceAttribute, isolationNamespace(id)] as const] : []),
    [maxBytesAttribute, sizeBytes.toString()],
  ]);
  // One after the other: the MDS makes two at once on one directory wait for each other.
  for (const [name, value] of attributes) await fs.setAttribute(ctx, id.path, name, value);
}

/** The name that Ceph's volumes module gives the RADOS namespace of an isolated subvolume. */
function isolationNamespace(id: CephfsVolumeId): string {
  return `fsvolumens_${id.path.slice(id.path.lastIndexOf('/') + 1)}`;
}

/** The directory was there before: it is the answer if it is what is asked for. */
async function adopt(ctx: CallContext, fs: CephFileSystem, request: Request): Promise<Volume> {
  const { id, input } = request;
  const found = await fs.attributes(ctx, id.path, [recordAttribute, maxBytesAttribute]);
  const text = found.get(recordAttribute);
  if (text === undefined) {
    ctx.log.warn({ path: id.path }, 'completing what an interrupted create has left');
    const { owner, mode } = request.parameters;
    if (owner !== undefined) await fs.setOwner(ctx, id.path, owner.uid, owner.gid);
    await fs.setMode(ctx, id.path, mode);
    return claim(ctx, fs, request);
  }
  const record = parseRecord(text, recordPlace(id.path));
  const difference = firstDifference(record.parameters, request.record.parameters);
  if (difference !== undefined) throw conflict(request, difference);
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

function conflict(request: Request, why: string): DriverError {
  return new DriverError(
    'ALREADY_EXISTS',
    `volume "${request.input.name}" exists already as ${request.id.path} of file system "${request.id.fsName}" and does not fit this request: ${why}; use another name or the same request`,
  );
}

function volumeOf(request: Request, sizeBytes: bigint): Volume {
  return { id: request.id, sizeBytes, context: nodeContext(request.input.parameters) };
}
