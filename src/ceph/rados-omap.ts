import type { CallContext } from '../platform/call-context.js';
import { cephError, errno } from './ceph-error.js';
import type { OmapChange, RadosOmap } from './client.js';
import { type Pointer, type PointerOut, readBytes, readCString, written } from './native/library.js';
import { librados } from './native/librados.js';
import { checkPool, inPool, type PoolHandle } from './pool-handle.js';

const compareEqual = 1; // rados_types.h, LIBRADOS_CMPXATTR_OP_EQ
const createIfAbsent = 0; // librados.h, LIBRADOS_CREATE_IDEMPOTENT

/** Object maps of one pool, each call one compound operation (librados.h, "Object Operations"). */
export class OmapObjects implements RadosOmap {
  readonly #handle: PoolHandle;

  constructor(handle: PoolHandle) {
    this.#handle = handle;
  }

  async get(ctx: CallContext, object: string, keys: readonly string[]): Promise<Map<string, string>> {
    if (keys.length === 0) return new Map();
    return this.#read(ctx, object, (op, iterator, result) => {
      librados().readOpOmapGet.sync(op, keys, keys.length, iterator, result);
    });
  }

  async list(ctx: CallContext, object: string, startAfter: string, max: number): Promise<Map<string, string>> {
    const more = Buffer.alloc(1);
    return this.#read(ctx, object, (op, iterator, result) => {
      librados().readOpOmapList.sync(op, startAfter, '', max, iterator, more, result);
    });
  }

  async update(ctx: CallContext, object: string, change: OmapChange): Promise<boolean> {
    const { expect = new Map<string, string>(), set = new Map<string, string>(), remove = [] } = change;
    if (expect.size === 0 && set.size === 0 && remove.length === 0) return true;
    const doing = `write the object map of ${this.#handle.name}/${object}`;
    return inPool(this.#handle, ctx, doing, async () => {
      const rados = librados();
      const op = rados.createWriteOp();
      try {
        // Comparing and removing fail on an object that isn't there: it is made first, and unmade when the rest fails.
        if (set.size > 0) rados.writeOpCreate.sync(op, createIfAbsent, null);
        for (const [key, value] of expect) {
          const bytes = Buffer.from(value, 'utf8');
          rados.writeOpOmapCompare.sync(op, key, compareEqual, bytes, bytes.length, null);
        }
        if (remove.length > 0) rados.writeOpOmapRemove.sync(op, remove, remove.length);
        addPairs(op, set);
        const returned = await rados.writeOpOperate(op, this.#handle.io, object, null, 0);
        if (returned === -errno.ECANCELED) return false;
        if (returned === -errno.ENOENT) {
          await checkPool(this.#handle);
          return [...expect.values()].every((value) => value === '');
        }
        if (returned < 0) throw cephError(returned, this.#handle.describe(doing));
        return true;
      } finally {
        rados.releaseWriteOp.sync(op);
      }
    });
  }

  async #read(
    ctx: CallContext,
    object: string,
    prepare: (op: Pointer, iterator: PointerOut, result: Buffer) => void,
  ): Promise<Map<string, string>> {
    const doing = `read the object map of ${this.#handle.name}/${object}`;
    return inPool(this.#handle, ctx, doing, async () => {
      const pairs = await readPairs(this.#handle, this.#handle.io, object, prepare);
      if (pairs === undefined) await checkPool(this.#handle);
      return pairs ?? new Map<string, string>();
    });
  }
}

const allKeys = 1_000_000;

/** Pairs whose keys start with prefix, of an object that is small; none when it is not there. Runs inside a lane's job. */
export async function readOmap(
  handle: PoolHandle,
  io: Pointer,
  object: string,
  prefix: string,
): Promise<Map<string, string>> {
  const more = Buffer.alloc(1);
  const pairs = await readPairs(handle, io, object, (op, iterator, result) => {
    librados().readOpOmapList.sync(op, '', prefix, allKeys, iterator, more, result);
  });
  return pairs ?? new Map<string, string>();
}

/** undefined when the object is not there. */
async function readPairs(
  handle: PoolHandle,
  io: Pointer,
  object: string,
  prepare: (op: Pointer, iterator: PointerOut, result: Buffer) => void,
): Promise<Map<string, string> | undefined> {
  const rados = librados();
  const op = rados.createReadOp();
  const iterator: PointerOut = [null];
  // The library writes into it when the operation completes: it has to outlive the call.
  const result = Buffer.alloc(4);
  try {
    prepare(op, iterator, result);
    const returned = await rados.readOpOperate(op, io, object, 0);
    const status = returned < 0 ? returned : result.readInt32LE();
    if (status === -errno.ENOENT) return undefined;
    if (status < 0) throw cephError(status, handle.describe(`read the object map of ${handle.name}/${object}`));
    return collect(written(iterator));
  } finally {
    if (iterator[0] !== null) rados.omapEnd.sync(iterator[0]);
    rados.releaseReadOp.sync(op);
  }
}

function addPairs(op: Pointer, pairs: ReadonlyMap<string, string>): void {
  if (pairs.size === 0) return;
  const values = [...pairs.values()];
  const lengths = Buffer.alloc(8 * values.length);
  values.forEach((value, i) => lengths.writeBigUInt64LE(BigInt(Buffer.byteLength(value)), 8 * i));
  librados().writeOpOmapSet.sync(op, [...pairs.keys()], values, lengths, values.length);
}

function collect(iterator: Pointer): Map<string, string> {
  const pairs = new Map<string, string>();
  for (;;) {
    const key: PointerOut = [null];
    const value: PointerOut = [null];
    const length = [0];
    librados().omapNext.sync(iterator, key, value, length as unknown as PointerOut);
    if (key[0] === null) return pairs;
    pairs.set(readCString(key[0]), value[0] === null ? '' : readBytes(value[0], length[0] ?? 0).toString('utf8'));
  }
}
