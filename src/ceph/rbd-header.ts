import { cephError, errno } from './ceph-error.js';
import type { ImageHeader } from './client.js';
import { Decoder, encodeMap, encodeString, encodeUint64 } from './native/encoding.js';
import { librados } from './native/librados.js';
import { checkPool, type PoolHandle } from './pool-handle.js';

/*
 * An image's header object and the class methods on it are RBD's wire format, the one that the kernel client speaks as well
 * (drivers/block/rbd.c: rbd_id.*, get_size, get_features). Reading them directly takes two round trips where opening the image
 * takes a dozen (ADR 0004).
 */
const headSnapshot = 0xfffffffffffffffen; // rados.h, CEPH_NOSNAP
const failOk = 2; // librados.h, LIBRADOS_OP_FLAG_FAILOK
const compareEqual = 1; // LIBRADOS_CMPXATTR_OP_EQ
/** cls_rbd keeps image metadata in the header's object map under this prefix. */
const metadataPrefix = 'metadata_';
const maxMetadataBytes = 8192;

/** The id that a name stands for. @throws CephError ENOENT when there is no such image. Runs inside a lane's job. */
export async function readImageId(handle: PoolHandle, name: string): Promise<string> {
  const buffer = Buffer.alloc(256);
  const length = await librados().read(handle.io, `rbd_id.${name}`, buffer, buffer.length, 0);
  if (length < 0) throw cephError(length, handle.describe(`find image ${handle.name}/${name}`));
  return new Decoder(buffer.subarray(0, length)).string();
}

interface Answer {
  readonly output: Buffer;
  readonly used: Buffer;
  readonly result: Buffer;
}

/** Size, features and metadata of one image, in one compound read. @throws CephError ENOENT. Runs inside a lane's job. */
export async function readHeader(
  handle: PoolHandle,
  id: string,
  metadataKeys: readonly string[],
): Promise<ImageHeader> {
  const rados = librados();
  const op = rados.createReadOp();
  try {
    const ask = (method: string, input: Buffer, outputBytes: number): Answer => {
      const answer = { output: Buffer.alloc(outputBytes), used: Buffer.alloc(8), result: Buffer.alloc(4) };
      rados.readOpExec.sync(
        op,
        'rbd',
        method,
        input,
        input.length,
        answer.output,
        outputBytes,
        answer.used,
        answer.result,
      );
      return answer;
    };
    const size = ask('get_size', encodeUint64(headSnapshot), 9);
    const features = ask('get_features', Buffer.concat([encodeUint64(headSnapshot), Buffer.of(1)]), 16);
    const metadata = metadataKeys.map((key) => {
      const answer = ask('metadata_get', encodeString(key), maxMetadataBytes);
      rados.readOpFlags.sync(op, failOk);
      return { key, answer };
    });
    const returned = await rados.readOpOperate(op, handle.io, `rbd_header.${id}`, 0);
    if (returned < 0) throw cephError(returned, handle.describe(`read the header of image ${handle.name}/${id}`));
    const sizeReply = new Decoder(size.output);
    sizeReply.uint8(); // the order, which layout() tells
    return {
      id,
      sizeBytes: sizeReply.uint64(),
      features: new Decoder(features.output).uint64(),
      metadata: present(metadata, (returned) =>
        cephError(returned, handle.describe(`read metadata of image ${handle.name}/${id}`)),
      ),
    };
  } finally {
    rados.releaseReadOp.sync(op);
  }
}

function present(
  answers: readonly { key: string; answer: Answer }[],
  failure: (returned: number) => Error,
): Map<string, string> {
  const values = new Map<string, string>();
  for (const { key, answer } of answers) {
    const returned = answer.result.readInt32LE();
    if (returned === -errno.ENOENT) continue;
    // ERANGE, say, for a value too long for our buffer: set, and not to be taken for absent.
    if (returned < 0) throw failure(returned);
    values.set(key, new Decoder(answer.output.subarray(0, Number(answer.used.readBigUInt64LE()))).string());
  }
  return values;
}

/** Sets image metadata in one compound write. @returns false when onlyIfAbsent is there already. Runs inside a lane's job. */
export async function writeMetadata(
  handle: PoolHandle,
  id: string,
  values: ReadonlyMap<string, string>,
  onlyIfAbsent: string | undefined,
): Promise<boolean> {
  const rados = librados();
  const op = rados.createWriteOp();
  try {
    // Without it, a write to an image that has just been removed would bring an empty header back.
    rados.writeOpAssertExists.sync(op);
    if (onlyIfAbsent !== undefined) {
      rados.writeOpOmapCompare.sync(op, metadataPrefix + onlyIfAbsent, compareEqual, Buffer.alloc(1), 0, null);
    }
    const input = encodeMap(values);
    rados.writeOpExec.sync(op, 'rbd', 'metadata_set', input, input.length, null);
    const returned = await rados.writeOpOperate(op, handle.io, `rbd_header.${id}`, null, 0);
    if (returned === -errno.ECANCELED) return false;
    if (returned < 0) throw cephError(returned, handle.describe(`write metadata of image ${handle.name}/${id}`));
    return true;
  } finally {
    rados.releaseWriteOp.sync(op);
  }
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
