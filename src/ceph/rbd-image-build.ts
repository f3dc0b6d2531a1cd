import { randomBytes } from 'node:crypto';
import { cephError, errno } from './ceph-error.js';
import type { ImageCreation } from './client.js';
import { Decoder, encodeInt64, encodeMap, encodeString, encodeUint64 } from './native/encoding.js';
import type { Pointer } from './native/library.js';
import { librados } from './native/librados.js';
import type { PoolHandle } from './pool-handle.js';

/*
 * An image is four objects, each made by one operation of RBD's class methods (ADR 0011). The order is librbd's own
 * (image/CreateRequest.h): name, directory and object map, header. The header comes last: an image that has one has everything.
 */

const exclusive = 1; // librados.h, LIBRADOS_CREATE_EXCLUSIVE
const directoryReady = 0; // cls_rbd_types.h, DIRECTORY_STATE_READY: the namespace is not about to be removed
const noDataPool = -1n;
const objectNonexistent = 0; // librbd.h, OBJECT_NONEXISTENT

export interface ImagePlan {
  readonly sizeBytes: bigint;
  readonly features: bigint;
  /** log2 of the object size. */
  readonly order: number;
  readonly hasObjectMap: boolean;
  readonly metadata: ImageCreation['metadata'];
}

export type BuildOutcome = 'built' | 'name taken' | 'header taken';

/**
 * Makes an image under a name that nobody has. Cut off at any point it leaves an image without a header, which completeImage()
 * ends. Runs inside a lane's job.
 */
export async function buildImage(handle: PoolHandle, name: string, plan: ImagePlan): Promise<BuildOutcome> {
  const id = newImageId();
  const claimed = await writeObject(handle, `rbd_id.${name}`, (op) => {
    librados().writeOpCreate.sync(op, exclusive, null);
    callClass(op, 'set_id', encodeString(id));
  });
  if (claimed === -errno.EEXIST) return 'name taken';
  check(handle, claimed, `create image ${handle.name}/${name}`);
  return completeImage(handle, name, id, plan);
}

/**
 * Everything but the name's own object; also ends what an earlier create has begun under this name and id. Of two that do it at
 * once the one that makes the header decides what the image is like. Runs inside a lane's job.
 */
export async function completeImage(
  handle: PoolHandle,
  name: string,
  id: string,
  plan: ImagePlan,
): Promise<BuildOutcome> {
  const [listed] = await Promise.all([
    enterDirectory(handle, name, id),
    plan.hasObjectMap ? makeObjectMap(handle, id, plan) : undefined,
  ]);
  if (!listed) {
    // The directory knows the name by another id: an image whose removal was cut off. The name's object must not hide that.
    await librados().remove(handle.io, `rbd_object_map.${id}`);
    await librados().remove(handle.io, `rbd_id.${name}`);
    return 'name taken';
  }
  const made = await writeObject(handle, `rbd_header.${id}`, (op) => {
    librados().writeOpCreate.sync(op, exclusive, null);
    callClass(op, 'create', encodeHeader(id, plan));
    const { metadata } = plan;
    if (metadata !== undefined) callClass(op, 'metadata_set', encodeMap(metadataPairs(metadata)));
  });
  if (made === -errno.EEXIST) return 'header taken';
  check(handle, made, `create image ${handle.name}/${name}`);
  return 'built';
}

/** All that is set together. */
export function metadataPairs(metadata: NonNullable<ImageCreation['metadata']>): Map<string, string> {
  return new Map([...(metadata.beside ?? []), [metadata.key, metadata.value]]);
}

/** @returns false when the directory has the name with another id. */
async function enterDirectory(handle: PoolHandle, name: string, id: string): Promise<boolean> {
  const entered = await writeObject(handle, 'rbd_directory', (op) => {
    if (handle.namespace !== '') {
      librados().writeOpAssertExists.sync(op);
      callClass(op, 'dir_state_assert', Buffer.of(directoryReady));
    }
    callClass(op, 'dir_add_image', Buffer.concat([encodeString(name), encodeString(id)]));
  });
  if (entered === -errno.EEXIST) return (await idInDirectory(handle, name)) === id;
  if (entered < 0) {
    // The namespace is gone, or nothing may be written here: the name is not to be kept by what can't become an image.
    await librados().remove(handle.io, `rbd_id.${name}`);
    throw cephError(entered, handle.describe(`create image ${handle.name}/${name}`));
  }
  return true;
}

/** The id that the pool's directory has for a name; undefined when it has none. Runs inside a lane's job. */
export async function idInDirectory(handle: PoolHandle, name: string): Promise<string | undefined> {
  const input = encodeString(name);
  const output = Buffer.alloc(256);
  const length = await librados().exec(
    handle.io,
    'rbd_directory',
    'rbd',
    'dir_get_id',
    input,
    input.length,
    output,
    output.length,
  );
  if (length === -errno.ENOENT) return undefined;
  check(handle, length, `look for image ${name} in the directory of pool ${handle.name}`);
  return new Decoder(output.subarray(0, length)).string();
}

async function makeObjectMap(handle: PoolHandle, id: string, plan: ImagePlan): Promise<void> {
  const objects = objectCount(plan.sizeBytes, plan.order);
  const made = await writeObject(handle, `rbd_object_map.${id}`, (op) => {
    callClass(op, 'object_map_resize', Buffer.concat([encodeUint64(objects), Buffer.of(objectNonexistent)]));
  });
  check(handle, made, `make the object map of image ${handle.name}/${id}`);
}

/** How many objects hold so many bytes. */
export function objectCount(sizeBytes: bigint, order: number): bigint {
  const objectBytes = 1n << BigInt(order);
  return (sizeBytes + objectBytes - 1n) / objectBytes;
}

/** cls_rbd's `create`: size, order, features, prefix of the data objects' names, data pool. */
function encodeHeader(id: string, plan: ImagePlan): Buffer {
  return Buffer.concat([
    encodeUint64(plan.sizeBytes),
    Buffer.of(plan.order),
    encodeUint64(plan.features),
    encodeString(`rbd_data.${id}`),
    encodeInt64(noDataPool),
  ]);
}

/** The kernel takes object prefixes of 24 bytes in old releases, so librbd's ids have at most 14 (rbd_types.h). */
function newImageId(): string {
  return randomBytes(7).toString('hex');
}

function callClass(op: Pointer, method: string, input: Buffer): void {
  librados().writeOpExec.sync(op, 'rbd', method, input, input.length, null);
}

async function writeObject(handle: PoolHandle, object: string, prepare: (op: Pointer) => void): Promise<number> {
  const rados = librados();
  const op = rados.createWriteOp();
  try {
    prepare(op);
    return await rados.writeOpOperate(op, handle.io, object, null, 0);
  } finally {
    rados.releaseWriteOp.sync(op);
  }
}

function check(handle: PoolHandle, returned: number, doing: string): void {
  if (returned < 0) throw cephError(returned, handle.describe(doing));
}
