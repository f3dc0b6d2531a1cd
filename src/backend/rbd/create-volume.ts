import { setTimeout as sleep } from 'node:timers/promises';
import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool, ImageCreation, ImageHeader } from '../../ceph/client.js';
import { chooseSize, sizeFits } from '../../domain/capacity.js';
import { DriverError } from '../../domain/errors.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { CreateVolumeInput, Volume, VolumePlan } from '../backend.js';
import { parseRecord, recordOf } from '../volume-record.js';
import { sourceText } from '../content-source.js';
import { objectNameFor } from '../object-name.js';
import { type CloneDependencies, createClone } from './create-clone.js';
import { conflict, type CreateRequest, refuseOtherRequest, volumeOf } from './create-request.js';
import { defaultOrder, encryptionMetadata } from './encryption.js';
import { featureBits, featureNames } from './features.js';
import { parseLimits, refuseBadBursts } from './mutable-parameters.js';
import { parseParameters } from './parameters.js';
import { deletedKey, recordKey, recordPlace } from './metadata-keys.js';

/** How long another controller's unfinished create is given before it counts as cut off. */
const unfinishedCreateMs = 3_000;
const unfinishedPollMs = 150;

/** Everything that can be judged without Ceph. @throws DriverError INVALID_ARGUMENT, OUT_OF_RANGE. */
export function planVolume(deps: CloneDependencies, input: CreateVolumeInput): VolumePlan<RbdVolumeId> {
  const parameters = parseParameters(input.parameters);
  const limits = parseLimits(input.mutableParameters);
  refuseBadBursts(limits, new Map());
  const cluster = deps.pools.clusters.require(parameters.clusterId);
  const id: RbdVolumeId = {
    backend: 'rbd',
    clusterId: cluster.id,
    pool: parameters.pool,
    namespace: cluster.rbdNamespace,
    image: objectNameFor(input.name, parameters.namePrefix),
  };
  formatVolumeId(id); // refuses an id that CSI could not carry, before anything is made
  const request = {
    input,
    id,
    parameters,
    limits,
    sizeBytes: chooseSize(input.capacity),
    record: recordOf(input.name, input.parameters, {
      mutableParameters: input.mutableParameters,
      ...(input.source === undefined ? {} : { source: sourceText(input.source) }),
    }),
  };
  return { id, create: async (ctx) => create(ctx, deps, request) };
}

async function create(ctx: CallContext, deps: CloneDependencies, request: CreateRequest): Promise<Volume> {
  const { pool } = await deps.pools.open(ctx, request.id, request.input.credentials);
  const { source } = request.input;
  if (source !== undefined) return createClone(ctx, deps, pool, request, source);
  // A look first: for an OSD, refusing an exclusive create is as much work as a write, because it logs the refusal.
  const header = await findHeader(ctx, pool, request);
  if (header !== undefined) return adopt(ctx, pool, header, request);
  if (await createImage(ctx, pool, request)) return volumeOf(request, request.sizeBytes);
  return adoptOther(ctx, pool, request);
}

/** @returns false when the image exists already, or a second controller has just adopted it: its record decides. */
async function createImage(ctx: CallContext, pool: CephPool, request: CreateRequest): Promise<boolean> {
  const { parameters, id } = request;
  const { dataPool } = parameters;
  try {
    return await pool.images.create(ctx, id.image, creationOf(request));
  } catch (error) {
    if (isCephError(error, errno.EEXIST)) return false;
    if (isCephError(error, errno.ENOENT) && dataPool !== undefined) {
      throw new DriverError(
        'INVALID_ARGUMENT',
        `dataPool "${dataPool}" does not exist in cluster "${id.clusterId}": create it or correct the StorageClass`,
        { cause: error },
      );
    }
    throw error;
  }
}

function creationOf({ sizeBytes, parameters, limits, record }: CreateRequest): ImageCreation {
  const { headerBytes, features, dataPool, stripeUnitBytes, stripeCount } = parameters;
  // What the header takes follows from it, so that Ceph's own configuration is not to decide.
  const order = parameters.order ?? (headerBytes > 0n ? defaultOrder : undefined);
  return {
    sizeBytes: sizeBytes + headerBytes,
    features,
    ...(order === undefined ? {} : { order }),
    ...(dataPool === undefined ? {} : { dataPool }),
    ...(stripeUnitBytes === undefined ? {} : { stripeUnitBytes }),
    ...(stripeCount === undefined ? {} : { stripeCount }),
    metadata: {
      key: recordKey,
      value: JSON.stringify(record),
      beside: new Map([...limits, ...encryptionMetadata(headerBytes)]),
    },
  };
}

/** The name was taken while this request looked, or its image has no header yet. */
async function adoptOther(ctx: CallContext, pool: CephPool, request: CreateRequest): Promise<Volume> {
  const header = await finishedHeader(ctx, pool, request);
  if (header !== undefined) return adopt(ctx, pool, header, request);
  ctx.log.warn({ image: request.id.image }, 'completing what an interrupted create has left');
  return complete(ctx, pool, request);
}

/** The image was there before: it is the answer if it is what is asked for. */
async function adopt(ctx: CallContext, pool: CephPool, header: ImageHeader, request: CreateRequest): Promise<Volume> {
  // A DeleteVolume that was cut off has marked it; a volume that is in use again must never be purged for that.
  if (header.metadata.has(deletedKey)) await pool.images.removeMetadata(ctx, header.id, deletedKey);
  const text = header.metadata.get(recordKey);
  if (text === undefined) await adoptWithoutRecord(ctx, pool, header, request);
  else refuseOtherRequest(parseRecord(text, recordPlace(request.id.image)), request);
  const sizeBytes = header.sizeBytes - request.parameters.headerBytes;
  if (!sizeFits(sizeBytes, request.input.capacity)) {
    throw conflict(request, `it has ${sizeBytes.toString()} bytes, which is outside of capacity_range`);
  }
  return volumeOf(request, sizeBytes);
}

async function complete(ctx: CallContext, pool: CephPool, request: CreateRequest): Promise<Volume> {
  try {
    if (await pool.images.complete(ctx, request.id.image, creationOf(request)))
      return volumeOf(request, request.sizeBytes);
  } catch (error) {
    // Deleted since, or made meanwhile.
    if (!isCephError(error, errno.ENOENT) && !isCephError(error, errno.EEXIST)) throw error;
  }
  throw new DriverError(
    'ABORTED',
    `image ${request.id.image} is being created or deleted by another controller: repeat the request`,
  );
}

/** undefined when the name is taken but the image never got a header: its creator was cut off. */
async function finishedHeader(
  ctx: CallContext,
  pool: CephPool,
  request: CreateRequest,
): Promise<ImageHeader | undefined> {
  const end = Date.now() + unfinishedCreateMs;
  for (;;) {
    const header = await findHeader(ctx, pool, request);
    if (header !== undefined || Date.now() > end) return header;
    await sleep(unfinishedPollMs, undefined, { signal: ctx.signal });
  }
}

async function findHeader(ctx: CallContext, pool: CephPool, { id }: CreateRequest): Promise<ImageHeader | undefined> {
  return ifPresent(pool.images.header(ctx, id.image, [recordKey, deletedKey]));
}

/** Made by a create of ours that ended before the record was written. The image itself must then be what is asked for. */
async function adoptWithoutRecord(
  ctx: CallContext,
  pool: CephPool,
  header: ImageHeader,
  request: CreateRequest,
): Promise<void> {
  const settable = header.features & ~(featureBits.striping | featureBits['data-pool'] | featureBits.operations);
  if (settable !== request.parameters.features) {
    throw conflict(request, `it has the features ${featureNames(settable).join(', ')}`);
  }
  if ((await pool.snapshots.parent(ctx, header.id)) !== undefined) throw conflict(request, 'it is a clone');
  const layout = await pool.images.layout(ctx, request.id.image);
  if (layout.dataPool !== request.parameters.dataPool)
    throw conflict(request, `its data pool is ${layout.dataPool ?? request.id.pool}`);
  // The caller says it better.
  if (!sizeFits(header.sizeBytes - request.parameters.headerBytes, request.input.capacity)) return;
  if (await writeRecord(ctx, pool, header.id, request)) return;
  throw new DriverError(
    'ABORTED',
    `another controller is creating image ${request.id.image} at this moment: repeat the request`,
  );
}

async function writeRecord(
  ctx: CallContext,
  pool: CephPool,
  imageId: string,
  request: CreateRequest,
): Promise<boolean> {
  const values = new Map([
    ...request.limits,
    ...encryptionMetadata(request.parameters.headerBytes),
    [recordKey, JSON.stringify(request.record)],
  ]);
  return pool.images.setMetadata(ctx, imageId, values, { key: recordKey, value: '' });
}
