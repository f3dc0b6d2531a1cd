import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { DriverError, isDriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { CreateVolumeInput, Volume, VolumePlan } from '../backend.js';
import { sourceText } from '../content-source.js';
import { objectNameFor } from '../object-name.js';
import { recordOf } from '../volume-record.js';
import { maxBytesAttribute, recordAttribute } from './attributes.js';
import type { CopyJobs } from './copy-jobs.js';
import { createCopy } from './create-copy.js';
import { answerExisting, type CreateRequest, quotaFor, setLayoutAndQuota, volumeOf } from './create-request.js';
import type { FileSystems, OpenedFileSystem } from './file-systems.js';
import { parseParameters } from './parameters.js';
import { parentOf, volumePath } from './volume-paths.js';

/** Of a group's directories: volumes below them have modes of their own. */
const groupMode = 0o755;

/** Everything that can be judged without Ceph. @throws DriverError INVALID_ARGUMENT, OUT_OF_RANGE. */
export function planVolume(
  fileSystems: FileSystems,
  jobs: CopyJobs,
  input: CreateVolumeInput,
): VolumePlan<CephfsVolumeId> {
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
  const request = {
    input,
    id,
    parameters,
    sizeBytes,
    record: recordOf(input.name, input.parameters, {
      sizeBytes,
      ...(input.source === undefined ? {} : { source: sourceText(input.source) }),
    }),
  };
  return { id, create: async (ctx) => create(ctx, fileSystems, jobs, request) };
}

async function create(
  ctx: CallContext,
  fileSystems: FileSystems,
  jobs: CopyJobs,
  request: CreateRequest,
): Promise<Volume> {
  const opened = await openFor(ctx, fileSystems, request);
  if (request.parameters.pool !== undefined) await refuseForeignPool(ctx, opened, request, request.parameters.pool);
  const { source } = request.input;
  if (source !== undefined) {
    const { groupPath } = opened.cluster.cephfs;
    return createCopy(ctx, { fs: opened.fs, jobs, groupPath }, request, source);
  }
  if (!(await makeDirectory(ctx, opened.fs, request))) return adopt(ctx, opened.fs, request);
  return claim(ctx, opened.fs, request);
}

async function openFor(ctx: CallContext, fileSystems: FileSystems, request: CreateRequest): Promise<OpenedFileSystem> {
  const { id, input } = request;
  try {
    return await fileSystems.open(ctx, id, input.credentials);
  } catch (error) {
    if (!isDriverError(error, 'NOT_FOUND')) throw error;
    throw new DriverError('INVALID_ARGUMENT', `${error.message}; correct fsName in the StorageClass`, { cause: error });
  }
}

/** The MDS takes any pool's name and says EINVAL only; a volume that can't hold data must not be made. */
async function refuseForeignPool(
  ctx: CallContext,
  { connection }: OpenedFileSystem,
  { id }: CreateRequest,
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
async function makeDirectory(ctx: CallContext, fs: CephFileSystem, request: CreateRequest): Promise<boolean> {
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
async function claim(ctx: CallContext, fs: CephFileSystem, request: CreateRequest): Promise<Volume> {
  if (!(await fs.setAttribute(ctx, request.id.path, recordAttribute, JSON.stringify(request.record), true)))
    return adopt(ctx, fs, request);
  await setLayoutAndQuota(ctx, fs, request);
  return volumeOf(request, request.sizeBytes);
}

/** The directory was there before: it is the answer if it is what is asked for. */
async function adopt(ctx: CallContext, fs: CephFileSystem, request: CreateRequest): Promise<Volume> {
  const { id } = request;
  const found = await fs.attributes(ctx, id.path, [recordAttribute, maxBytesAttribute]);
  const text = found.get(recordAttribute);
  if (text === undefined) {
    ctx.log.warn({ path: id.path }, 'completing what an interrupted create has left');
    const { owner, mode } = request.parameters;
    if (owner !== undefined) await fs.setOwner(ctx, id.path, owner.uid, owner.gid);
    await fs.setMode(ctx, id.path, mode);
    return claim(ctx, fs, request);
  }
  return answerExisting(ctx, fs, request, found);
}
