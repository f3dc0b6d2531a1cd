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
