import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool, ImageHeader } from '../../ceph/client.js';
import { sizeFits } from '../../domain/capacity.js';
import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import type { ContentSource, Volume } from '../backend.js';
import { sourceText } from '../content-source.js';
import { parseRecord, type VolumeRecord } from '../volume-record.js';
import { boundedDepth } from './clone-depth.js';
import { type CloneOrigin, cloneImage, cloneSize, findOrigin, releaseOrigin } from './clone-image.js';
import { conflict, type CreateRequest, refuseOtherRequest, volumeOf } from './create-request.js';
import { encryptionMetadata, headerBytesIn } from './encryption.js';
import type { Flattener } from './flattener.js';
import type { ImagePools } from './image-pools.js';
import { inheritedHeader } from './inherited-header.js';
import { deletedKey, encryptedKey, recordKey, recordPlace } from './metadata-keys.js';
import { limitKeys } from './mutable-parameters.js';
import { kindsOf } from './choose-mapper.js';

export interface CloneDependencies {
  readonly pools: ImagePools;
  readonly flattener: Flattener;
  /** Those that the driver's configuration names. */
  readonly topologyKeys: () => readonly string[];
}

/**
 * A volume made of a snapshot or of another volume: a clone, copy on write. Clone, its place in the queue of those to be flattened, growth,
 * record, in this order: an image without a record is one whose making was cut off, and the repeated request goes on with it.
 */
export async function createClone(
  ctx: CallContext,
  { pools, flattener }: Omit<CloneDependencies, 'topologyKeys'>,
  pool: CephPool,
  request: CreateRequest,
  source: ContentSource,
): Promise<Volume> {
  const made = await finished(ctx, pool, request);
  if (made !== undefined) return answer(ctx, pools, request, source, made);
  const { credentials } = request.input;
  const limits = pools.clusters.require(request.id.clusterId).cloneDepth;
  let headerBytes = 0n;
  const { origin, depth } = await findOrigin(ctx, pools, request.id, source, credentials, async (start) => {
    headerBytes = await inheritedHeader(ctx, start, request, source);
    return boundedDepth(
      ctx,
      {
        limits,
        open: async (place) => (await pools.open(ctx, place, credentials)).pool,
        urge: async (place, image) => flattener.add(ctx, place, image, credentials, true),
      },
      start,
    );
  });
  const sizeBytes = cloneSize(origin.sizeBytes - headerBytes, request.input.capacity);
  const imageBytes = sizeBytes + headerBytes;
  const { features, order, dataPool, stripeUnitBytes, stripeCount } = request.parameters;
  const options = {
    features,
    ...(order === undefined ? {} : { order }),
    ...(dataPool === undefined ? {} : { dataPool }),
    ...(stripeUnitBytes === undefined ? {} : { stripeUnitBytes }),
    ...(stripeCount === undefined ? {} : { stripeCount }),
  };
  const isNew = await cloneImage(ctx, origin, pool, request.id.image, { source, options });
  if (!isNew) await refuseForeignImage(ctx, pool, request, origin, source);
  if (depth > limits.soft || (headerBytes > 0n && !staysMappedByKernel(request.input.parameters.mounter))) {
    const image = { id: await pool.images.id(ctx, request.id.image), name: request.id.image };
    await flattener.add(ctx, request.id, image, credentials, false);
  }
  // A clone has its source's size from the start.
  if (imageBytes > origin.sizeBytes) await pool.images.grow(ctx, request.id.image, imageBytes);
  if (!(await writeRecord(ctx, pool, request, headerBytes))) {
    throw new DriverError(
      'ABORTED',
      `another controller is making image ${request.id.image} at this moment: repeat the request`,
    );
  }
  await releaseOrigin(ctx, origin);
  return volumeOf(request, sizeBytes);
}

/** undefined when there is no image of that name, or one that hasn't got its own record yet. */
async function finished(ctx: CallContext, pool: CephPool, request: CreateRequest): Promise<Finished | undefined> {
  try {
    const header = await pool.images.header(ctx, request.id.image, [recordKey, encryptedKey]);
    const record = ownRecord(header, request);
    return record === undefined ? undefined : { header, record };
  } catch (error) {
    if (isCephError(error, errno.ENOENT)) return undefined;
    throw error;
  }
}

interface Finished {
  readonly header: ImageHeader;
  readonly record: VolumeRecord;
}

/** RBD gives a clone a copy of its parent's metadata: a record of another name is the parent's. */
function ownRecord(header: ImageHeader, { id, input }: CreateRequest): VolumeRecord | undefined {
  const text = header.metadata.get(recordKey);
  const record = text === undefined ? undefined : parseRecord(text, recordPlace(id.image));
  return record?.name === input.name ? record : undefined;
}

async function answer(
  ctx: CallContext,
  pools: ImagePools,
  request: CreateRequest,
  source: ContentSource,
  { header, record }: Finished,
): Promise<Volume> {
  refuseOtherRequest(record, request);
  const sizeBytes = header.sizeBytes - headerBytesIn(header.metadata);
  if (!sizeFits(sizeBytes, request.input.capacity)) {
    throw conflict(request, `it has ${sizeBytes.toString()} bytes, which is outside of capacity_range`);
  }
  // The first request may have been cut off right after its record.
  if ('volume' in source && source.volume.backend === 'rbd') {
    const { pool } = await pools.open(ctx, source.volume, request.input.credentials);
    const imageId = await pool.images.id(ctx, source.volume.image).catch(() => undefined);
    if (imageId !== undefined) await releaseOwn(ctx, pool, imageId, request);
  }
  return volumeOf(request, sizeBytes);
}

async function releaseOwn(ctx: CallContext, pool: CephPool, imageId: string, { id }: CreateRequest): Promise<void> {
  const own = (await pool.snapshots.list(ctx, imageId)).find(({ name }) => name.endsWith(id.image));
  if (own === undefined) return;
  await releaseOrigin(ctx, { pool, imageId, snapshot: own.name, sizeBytes: own.sizeBytes, isOwn: true });
}

/** An image of our name without a record: it must be a clone of the very source. */
async function refuseForeignImage(
  ctx: CallContext,
  pool: CephPool,
  request: CreateRequest,
  origin: CloneOrigin,
  source: ContentSource,
): Promise<void> {
  const { id } = await pool.images.header(ctx, request.id.image, []);
  const parent = await pool.snapshots.parent(ctx, id);
  if (parent?.imageId === origin.imageId) return;
  throw conflict(request, `it is no clone of ${sourceText(source)}`);
}

/** librbd can't have an encrypted clone open safely before it is flat (ADR 24); the kernel's devices have dm-crypt above them. */
function staysMappedByKernel(mounter = 'auto'): boolean {
  return !kindsOf(mounter).includes('userspace');
}

/** What is the parent's alone, and comes along with RBD's copy of its metadata. */
const notInherited = [deletedKey, ...limitKeys];

/** In place of the parent's, if there is one, together with what the clone itself has instead of its parent. */
async function writeRecord(
  ctx: CallContext,
  pool: CephPool,
  request: CreateRequest,
  headerBytes: bigint,
): Promise<boolean> {
  const { id, metadata } = await pool.images.header(ctx, request.id.image, [recordKey, ...notInherited]);
  const inherited = notInherited.filter((key) => metadata.has(key));
  const values = new Map<string, string | null>([
    ...inherited.map((key) => [key, null] as const),
    ...request.limits,
    ...encryptionMetadata(headerBytes),
    [recordKey, JSON.stringify(request.record)],
  ]);
  return pool.images.setMetadata(ctx, id, values, { key: recordKey, value: metadata.get(recordKey) ?? '' });
}
