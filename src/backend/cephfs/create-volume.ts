import type { CephFileSystem } from '../../ceph/client.js';
import { DriverError, isDriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { CreateVolumeInput, Volume, VolumePlan } from '../backend.js';
import { sourceText } from '../content-source.js';
import { objectNameFor } from '../object-name.js';
import { recordOf } from '../volume-record.js';
import { maxBytesAttribute, recordAttribute } from './attributes.js';
import { type CopyPlace, createCopy } from './create-copy.js';
import { answerExisting, type CreateRequest, quotaFor, setLayoutAndQuota, volumeOf } from './create-request.js';
import { createView } from './create-view.js';
import type { FileSystems, OpenedFileSystem } from './file-systems.js';
import { refuseForeignPool } from './data-pools.js';
import { parseMutableParameters, withMutableParameters } from './mutable-parameters.js';
import { makeVolumeDirectory } from './make-directory.js';
import { parseParameters } from './parameters.js';
import { wantsView } from './views.js';
import { parentOf, volumePath } from './volume-paths.js';

/** Answers upon which an orchestrator doesn't repeat its request. */
const finalCodes = ['PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'INVALID_ARGUMENT'] as const;

type Copies = Pick<CopyPlace, 'jobs' | 'onTrashed'>;

/** Everything that can be judged without Ceph. @throws DriverError INVALID_ARGUMENT, OUT_OF_RANGE. */
export function planVolume(
  fileSystems: FileSystems,
  copies: Copies,
  input: CreateVolumeInput,
): VolumePlan<CephfsVolumeId> {
  const mutable = parseMutableParameters(input.mutableParameters);
  const parameters = withMutableParameters(parseParameters(input.parameters), mutable);
  const cluster = fileSystems.clusters.require(parameters.clusterId);
  const id: CephfsVolumeId = {
    backend: 'cephfs',
    clusterId: cluster.id,
    fsName: parameters.fsName ?? cluster.cephfs.fsName,
    path: volumePath(cluster, objectNameFor(input.name, parameters.namePrefix)),
    ...(wantsView(input, parameters.backingSnapshot) ? { isView: true } : {}),
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
      mutableParameters: input.mutableParameters,
      ...(input.source === undefined ? {} : { source: sourceText(input.source) }),
    }),
  };
  return { id, create: async (ctx) => create(ctx, fileSystems, copies, request) };
}

async function create(
  ctx: CallContext,
  fileSystems: FileSystems,
  copies: Copies,
  request: CreateRequest,
): Promise<Volume> {
  const opened = await openFor(ctx, fileSystems, request);
  const { fs } = opened;
  const { groupPath } = opened.cluster.cephfs;
  const { input, parameters, id } = request;
  const { source, mutableParameters } = input;
  if (id.isView === true && source !== undefined && 'snapshot' in source)
    return createView(ctx, { fs, groupPath }, request, source);
  const { pool } = parameters;
  const parameter = 'layoutPool' in mutableParameters ? 'mutable parameter layoutPool' : 'parameter pool';
  if (pool !== undefined) await refuseForeignPool(ctx, opened.connection, id, { parameter, pool });
  if (source !== undefined) return createCopy(ctx, { fs, groupPath, ...copies }, request, source);
  const directory = { mode: parameters.mode, ...parameters.owner, attributes: new Map<string, string>() };
  if (!(await makeVolumeDirectory(ctx, fs, id.path, directory))) return adopt(ctx, fs, request);
  try {
    return await claim(ctx, fs, request);
  } catch (error) {
    // After any other error the orchestrator comes again, and the directory is completed.
    if (finalCodes.some((code) => isDriverError(error, code))) await discard(ctx, fs, request);
    throw error;
  }
}

/** Takes back the directory that has just been made: the orchestrator forgets a volume that was refused. */
async function discard(ctx: CallContext, fs: CephFileSystem, { id }: CreateRequest): Promise<void> {
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
async function openFor(ctx: CallContext, fileSystems: FileSystems, request: CreateRequest): Promise<OpenedFileSystem> {
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
      `${error.message}; it needs mds 'allow rwps path=${group.path}', and that directory must be there: if it isn't, it has to be made once by a user who may (ceph fs subvolumegroup create, or mkdir)`,
      { cause: error },
    );
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
