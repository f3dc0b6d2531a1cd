import koffi from 'koffi';

/** Ceph's wire encoding (include/encoding.h) of the few types that class methods take and give: little endian, u32 counts. */
export function encodeString(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export function encodeUint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

export function encodeInt64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
}

export function encodeMap(entries: ReadonlyMap<string, string>): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32LE(entries.size);
  const pairs = [...entries].flatMap(([key, value]) => [encodeString(key), encodeString(value)]);
  return Buffer.concat([count, ...pairs]);
}

/** Reads values one after the other; a length past the end throws RangeError. */
export class Decoder {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#advance(8));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64LE(this.#advance(8));
  }

  /** The start of a struct that knows its version and length (ENCODE_START): what follows is that of this version. */
  structHeader(): void {
    this.#advance(6);
  }

  string(): string {
    const length = this.#bytes.readUInt32LE(this.#advance(4));
    const start = this.#advance(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  map(): Map<string, string> {
    const count = this.#bytes.readUInt32LE(this.#advance(4));
    const entries = new Map<string, string>();
    for (let i = 0; i < count; i++) {
      const key = this.string();
      entries.set(key, this.string());
    }
    return entries;
  }

  #advance(length: number): number {
    const start = this.#offset;
    if (start + length > this.#bytes.length) throw new RangeError('a Ceph reply is shorter than it says');
    this.#offset = start + length;
    return start;
  }
}

/** The zero-terminated string that the pointer at this offset of a C struct points to. */
export function stringAt(struct: Buffer, offset: number): string {
  return koffi.decode(struct, offset, 'const char *') as string;
}
