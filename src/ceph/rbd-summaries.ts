import { cephError, errno } from './ceph-error.js';
import type { ImageSummary } from './client.js';
import { Decoder, encodeString, encodeUint64 } from './native/encoding.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { librados } from './native/librados.js';
import type { PoolHandle } from './pool-handle.js';
import { readHeader } from './rbd-header.js';

const headSnapshot = 0xfffffffffffffffen; // rados.h, CEPH_NOSNAP
const failOk = 2; // librados.h, LIBRADOS_OP_FLAG_FAILOK
/** A record with all its labels; a longer value is asked for again with more room. */
const metadataRoomBytes = 1_024;

/**
 * As many images as are read by one job: they are on their way together and wait in one thread of the pool, where a call for each
 * costs more than the reading. librados lets 1,024 operations of a connection through and makes the next one wait, on the
 * thread that asks: sixteen jobs are far below.
 */
export const summariesPerJob = 32;

interface Answer {
  readonly output: Buffer;
  readonly used: Buffer;
  readonly result: Buffer;
}

interface Reading {
  readonly id: string;
  readonly op: Pointer;
  readonly completion: Pointer;
  readonly size: Answer;
  readonly metadata: readonly Answer[];
}

/** Of images by their ids; undefined for one that is not there, or has no header yet. Runs inside a lane's job. */
export async function readSummaries(
  handle: PoolHandle,
  ids: readonly string[],
  keys: readonly string[],
): Promise<(ImageSummary | undefined)[]> {
  const readings = ids.map((id) => begin(handle, id, keys));
  try {
    // The last one is the likeliest to be last: most of the others need no wait of their own.
    for (const { completion } of readings.toReversed()) {
      if (librados().isComplete.sync(completion) === 0) await librados().waitForComplete(completion);
    }
    const found: (ImageSummary | undefined)[] = [];
    for (const reading of readings) found.push(await summaryOf(handle, reading, keys));
    return found;
  } finally {
    for (const { op, completion } of readings) {
      librados().releaseCompletion.sync(completion);
      librados().releaseReadOp.sync(op);
    }
  }
}

function begin(handle: PoolHandle, id: string, keys: readonly string[]): Reading {
  const rados = librados();
  const out: PointerOut = [null];
  rados.createCompletion.sync(null, null, out);
  const completion = written(out);
  const op = rados.createReadOp();
  const ask = (method: string, input: Buffer, outputBytes: number): Answer => {
    // The library writes into these three when the operation completes: the reading holds them until then.
    const answer = { output: Buffer.alloc(outputBytes), used: Buffer.alloc(8), result: Buffer.alloc(4) };
    const { output, used, result } = answer;
    rados.readOpExec.sync(op, 'rbd', method, input, input.length, output, outputBytes, used, result);
    return answer;
  };
  const size = ask('get_size', encodeUint64(headSnapshot), 9);
  const metadata = keys.map((key) => {
    const answer = ask('metadata_get', encodeString(key), metadataRoomBytes);
    rados.readOpFlags.sync(op, failOk);
    return answer;
  });
  rados.readOpBegin.sync(op, handle.io, completion, `rbd_header.${id}`, 0);
  return { id, op, completion, size, metadata };
}

async function summaryOf(
  handle: PoolHandle,
  { id, completion, size, metadata }: Reading,
  keys: readonly string[],
): Promise<ImageSummary | undefined> {
  const returned = librados().returnValue.sync(completion);
  if (returned === -errno.ENOENT) return undefined;
  if (returned < 0) throw cephError(returned, handle.describe(`read the header of image ${handle.name}/${id}`));
  const results = metadata.map(({ result }) => result.readInt32LE());
  if (results.some((result) => result < 0 && result !== -errno.ENOENT)) return readHeader(handle, id, keys);
  const values = new Map<string, string>();
  for (const [i, key] of keys.entries()) {
    const answer = metadata[i];
    if (answer === undefined || results[i] !== 0) continue;
    values.set(key, new Decoder(answer.output.subarray(0, Number(answer.used.readBigUInt64LE()))).string());
  }
  const decoder = new Decoder(size.output);
  decoder.uint8(); // the order
  return { id, sizeBytes: decoder.uint64(), metadata: values };
}
