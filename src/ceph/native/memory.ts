import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { loadLibrary, type NativeFunction } from './library.js';

let trim: NativeFunction | undefined;

/**
 * Gives the free memory of malloc's arenas, one for every few threads, back to the system: glibc keeps it otherwise.
 * Takes a few milliseconds of a worker thread. Without glibc it does nothing.
 */
export async function trimMemory(): Promise<void> {
  try {
    trim ??= loadLibrary('libc.so.6', 'libc6').call('int malloc_trim(size_t keepBytes)');
  } catch {
    return;
  }
  await trim(0);
}

let collect: (() => void) | undefined;

/** Lets V8 give back a heap that a burst has blown up; V8 by itself may wait for minutes. Some 30 ms on this thread. */
export function collectGarbage(): void {
  const worthwhileBytes = 40 << 20;
  if (getHeapStatistics().total_heap_size < worthwhileBytes) return;
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
