import { cephError, errno } from './ceph-error.js';
import type { ExpectedMetadata, ImageHeader } from './client.js';
import { Decoder, encodeMap, encodeString, encodeUint64 } from './native/encoding.js';
import { type Pointer, type PointerOut, readBytes } from './native/library.js';
import { librados } from './native/librados.js';
import { checkPool, type PoolHandle } from './pool-handle.js';

/*
 * An image's header object and the class methods on it are RBD's wire format, the one that the kernel client speaks as well
 * (drivers/block/rbd.c: rbd_id.*, get_size, get_features). Reading them directly takes two round trips where opening the image
 * takes a dozen (ADR 0004).
 */
export const headSnapshot = 0xfffffffffffffffen; // rados.h, CEPH_NOSNAP
const failOk = 2; // librados.h, LIBRADOS_OP_FLAG_FAILOK
const compareEqual = 1; // LIBRADOS_CMPXATTR_OP_EQ
/** cls_rbd keeps image metadata in the header's object map under this prefix. */
const metadataPrefix = 'metadata_';
/** Room for the newest id and a count; what follows is not looked at. */
const snapshotRoomBytes = 4096;
/** Room for each metadata value: nearly all are short, and a longer one is asked for again with more. */
const metadataRoomBytes = [512, 16 << 10, 1 << 20];

/** The id that a name stands for. @throws CephError ENOENT when there is no such image. Runs inside a lane's job. */
export async function readImageId(handle: PoolHandle, name: string): Promise<string> {
  const buffer = Buffer.alloc(256);
  const length = await librados().read(handle.io, `rbd_id.${name}`, buffer, buffer.length, 0);
  if (length < 0) throw cephError(length, handle.describe(`find image ${handle.name}/${name}`));
  return new Decoder(buffer.subarray(0, length)).string();
}

/** The library writes into these three when the operation completes: whoever waits for that holds them. */
export interface Answer {
  readonly output: Buffer;
  readonly used: Buffer;
  readonly result: Buffer;
}

/** Adds a call of one of cls_rbd's methods to a compound read. */
export function askClass(op: Pointer, method: string, input: Buffer, outputBytes: number): Answer {
  const answer = { output: Buffer.alloc(outputBytes), used: Buffer.alloc(8), result: Buffer.alloc(4) };
  const { output, used, result } = answer;
  librados().readOpExec.sync(op, 'rbd', method, input, input.length, output, outputBytes, used, result);
  return answer;
}

/** Size, features and metadata of one image, in one compound read. @throws CephError ENOENT. Runs inside a lane's job. */
export async function readHeader(
  handle: PoolHandle,
  id: string,
  metadataKeys: readonly string[],
): Promise<ImageHeader> {
  let returned = 0;
  for (const roomBytes of metadataRoomBytes) {
    const reply = await askHeader(handle, id, metadataKeys, roomBytes);
    const failed = reply.metadata.map(({ answer }) => answer.result.readInt32LE()).filter((result) => result < 0);
    returned = failed.find((result) => result !== -errno.ENOENT) ?? 0;
    if (returned === -errno.ERANGE) continue;
    if (returned < 0) break;
    const size = new Decoder(reply.size.output);
    size.uint8(); // the order, which layout() tells
    return {
      id,
      sizeBytes: size.uint64(),
      features: new Decoder(reply.features.output).uint64(),
      // A context is the newest id and the list of all of them: one that is too long for the room says so by that.
      hasSnapshots: reply.snapshots.result.readInt32LE() < 0 || reply.snapshots.output.readUInt32LE(8) > 0,
      metadata: present(reply.metadata),
    };
  }
  throw cephError(returned, handle.describe(`read metadata of image ${handle.name}/${id}`));
}

interface HeaderReply {
  readonly size: Answer;
  readonly features: Answer;
  readonly snapshots: Answer;
  readonly metadata: readonly { readonly key: string; readonly answer: Answer }[];
}

async function askHeader(
  handle: PoolHandle,
  id: string,
  metadataKeys: readonly string[],
  roomBytes: number,
): Promise<HeaderReply> {
  const rados = librados();
  const op = rados.createReadOp();
  try {
    const reply = {
      size: askClass(op, 'get_size', encodeUint64(headSnapshot), 9),
      features: askClass(op, 'get_features', Buffer.concat([encodeUint64(headSnapshot), Buffer.of(1)]), 16),
      snapshots: askClass(op, 'get_snapcontext', Buffer.alloc(0), snapshotRoomBytes),
      metadata: metadataKeys.map((key) => {
        const answer = askClass(op, 'metadata_get', encodeString(key), roomBytes);
        rados.readOpFlags.sync(op, failOk);
        return { key, answer };
      }),
    };
    const returned = await rados.readOpOperate(op, handle.io, `rbd_header.${id}`, 0);
    if (returned < 0) throw cephError(returned, handle.describe(`read the header of image ${handle.name}/${id}`));
    return reply;
  } finally {
    rados.releaseReadOp.sync(op);
  }
}

function present(answers: HeaderReply['metadata']): Map<string, string> {
  const values = new Map<string, string>();
  for (const { key, answer } of answers) {
    if (answer.result.readInt32LE() < 0) continue;
    values.set(key, new Decoder(answer.output.subarray(0, Number(answer.used.readBigUInt64LE()))).string());
  }
  return values;
}

/** Sets image metadata, and removes that of value null, in one compound write. @returns false when `expected` doesn't hold. Runs inside a lane's job. */
export async function writeMetadata(
  handle: PoolHandle,
  id: string,
  values: ReadonlyMap<string, string | null>,
  expected: readonly ExpectedMetadata[],
): Promise<boolean> {
  const rados = librados();
  const op = rados.createWriteOp();
  try {
    // Without it, a write to an image that has just been removed would bring an empty header back.
    rados.writeOpAssertExists.sync(op);
    for (const { key, value: text } of expected) {
      const value = Buffer.from(text, 'utf8');
      rados.writeOpOmapCompare.sync(op, metadataPrefix + key, compareEqual, value, value.length, null);
    }
    const set = new Map<string, string>();
    for (const [key, value] of values) {
      if (value === null) callClass(op, 'metadata_remove', encodeString(key));
      else set.set(key, value);
    }
    if (set.size > 0) callClass(op, 'metadata_set', encodeMap(set));
    const returned = await rados.writeOpOperate(op, handle.io, `rbd_header.${id}`, null, 0);
    if (returned === -errno.ECANCELED) return false;
    if (returned < 0) throw cephError(returned, handle.describe(`write metadata of image ${handle.name}/${id}`));
    return true;
  } finally {
    rados.releaseWriteOp.sync(op);
  }
}

function callClass(op: Pointer, method: string, input: Buffer): void {
  librados().writeOpExec.sync(op, 'rbd', method, input, input.length, null);
}

/** Removes one metadata key; one that isn't there is fine. Runs inside a lane's job. */
export async function deleteMetadata(handle: PoolHandle, id: string, key: string): Promise<void> {
  const input = encodeString(key);
  const returned = await librados().exec(
    handle.io,
    `rbd_header.${id}`,
    'rbd',
    'metadata_remove',
    input,
    input.length,
    null,
    0,
  );
  if (returned < 0 && returned !== -errno.ENOENT) {
    throw cephError(returned, handle.describe(`remove metadata of image ${handle.name}/${id}`));
  }
}

/** Names and ids from the pool's directory object, in name order, after startAfter. Runs inside a lane's job. */
export async function listDirectory(handle: PoolHandle, startAfter: string, max: number): Promise<Map<string, string>> {
  const input = Buffer.concat([encodeString(startAfter), encodeUint64(BigInt(max))]);
  const bytesPerImage = 256; // a name that librbd's own tools take, an id of some twenty bytes: more is rare
  const maxBytes = 1 << 28;
  for (let bytes = 64 + max * bytesPerImage; ; bytes *= 4) {
    const output = Buffer.alloc(bytes);
    const length = await librados().exec(
      handle.io,
      'rbd_directory',
      'rbd',
      'dir_list',
      input,
      input.length,
      output,
      output.length,
    );
    if (length === -errno.ERANGE && bytes < maxBytes) continue;
    if (length === -errno.ENOENT) {
      await checkPool(handle);
      return new Map();
    }
    if (length < 0) throw cephError(length, handle.describe(`list the images of pool ${handle.name}`));
    return new Decoder(output.subarray(0, length)).map();
  }
}

const notifyTimeoutMs = 2_000;

/**
 * Does any client watch the image's header? One round trip when none does, where opening the image to list them takes a dozen. One
 * that doesn't acknowledge is watching all the same. Runs inside a lane's job.
 */
export async function isWatched(handle: PoolHandle, id: string): Promise<boolean> {
  return notifyHeader(handle, id, 'ask for the watchers');
}

/** Who has the image open reads its header again. Runs inside a lane's job. */
export async function announce(handle: PoolHandle, id: string): Promise<void> {
  await notifyHeader(handle, id, 'announce a change');
}

/**
 * An empty notification is RBD's "header has changed" from its first days: librbd and the kernel look at the header again and
 * acknowledge (drivers/block/rbd.c, rbd_watch_cb). @returns whether anybody watches, acknowledging or not.
 */
async function notifyHeader(handle: PoolHandle, id: string, doing: string): Promise<boolean> {
  const reply: PointerOut = [null];
  const length = [0];
  const returned = await librados().notify(
    handle.io,
    `rbd_header.${id}`,
    null,
    0,
    notifyTimeoutMs,
    reply,
    length as unknown as PointerOut,
  );
  try {
    if (returned === -errno.ETIMEDOUT) return true;
    if (returned < 0) throw cephError(returned, handle.describe(`${doing} of image ${handle.name}/${id}`));
    // Two lists, of those who have acknowledged and of those who haven't: nobody is two counts of zero.
    return reply[0] !== null && readBytes(reply[0], length[0] ?? 0).some((byte) => byte !== 0);
  } finally {
    if (reply[0] !== null) librados().freeBuffer.sync(reply[0]);
  }
}
