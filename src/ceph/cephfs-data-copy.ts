import { BlockBuffers } from './block-buffers.js';
import type { Place, TreeCalls } from './cephfs-tree-calls.js';
import type { Pointer } from './native/library.js';
import { libcephfs } from './native/libcephfs.js';
import { settled } from './settled.js';

const blockBytes = 4 << 20;
/** Of one file at the same time. */
const blocksAtOnce = 4;
/** What all copies of the process hold in memory together: 32 MiB, and the library as much again. */
const blocks = new BlockBuffers(8, blockBytes);
/** Up to this size a buffer of its own is cheaper. */
const smallBytes = 64 << 10;
/** Zeros are left out in pieces of this size. */
const grainBytes = 64 << 10;

export interface DataCopy {
  readonly place: Place;
  /** Open files. */
  readonly from: Pointer;
  readonly to: Pointer;
  readonly sizeBytes: number;
  readonly onBytes: (bytes: number) => void;
}

/** Copies the bytes that aren't zero into a file that is empty. @returns where the last of them ends. */
export async function copyData(calls: TreeCalls, copy: DataCopy): Promise<number> {
  if (copy.sizeBytes === 0) return 0;
  if (copy.sizeBytes <= smallBytes) return copyBlock(calls, copy, 0, Buffer.allocUnsafe(copy.sizeBytes));
  let next = 0;
  let end = 0;
  const worker = async (): Promise<void> => {
    while (next < copy.sizeBytes) {
      const offset = next;
      next += blockBytes;
      const length = Math.min(blockBytes, copy.sizeBytes - offset);
      const blockEnd = await blocks.lend(async (buffer) => copyBlock(calls, copy, offset, buffer.subarray(0, length)));
      end = Math.max(end, blockEnd);
    }
  };
  const count = Math.min(blocksAtOnce, Math.ceil(copy.sizeBytes / blockBytes));
  const workers = Array.from({ length: count }, async () =>
    worker().catch((error: unknown) => {
      calls.fail(error);
      throw error;
    }),
  );
  await settled(workers);
  return end;
}

async function copyBlock(calls: TreeCalls, copy: DataCopy, offset: number, buffer: Buffer): Promise<number> {
  const { handle } = calls.mount;
  const { place, from, to } = copy;
  const length = await calls.must(place, async () => libcephfs().readFile(handle, from, offset, buffer.length, buffer));
  if (length !== buffer.length) throw calls.changed(place, 'has become shorter');
  let end = 0;
  for (const run of runsOfData(buffer)) {
    end = offset + run.end;
    for (let start = run.start; start < run.end;) {
      const bytes = buffer.subarray(start, run.end);
      const at = offset + start;
      start += await calls.must(place, async () => libcephfs().writeFile(handle, to, at, bytes.length, bytes));
    }
  }
  copy.onBytes(buffer.length);
  return end;
}

/** The parts of a block that aren't zero. */
function* runsOfData(block: Buffer): Generator<{ start: number; end: number }> {
  let start: number | undefined;
  for (let at = 0; at < block.length; at += grainBytes) {
    const isHole = isZero(block.subarray(at, at + grainBytes));
    if (isHole && start !== undefined) {
      yield { start, end: at };
      start = undefined;
    } else if (!isHole) start ??= at;
  }
  if (start !== undefined) yield { start, end: block.length };
}

/** Each byte is the same as the one before it, and the first is zero: no second buffer is needed. */
function isZero(bytes: Buffer): boolean {
  return bytes[0] === 0 && bytes.compare(bytes, 1, bytes.length, 0, bytes.length - 1) === 0;
}
