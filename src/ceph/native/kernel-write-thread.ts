import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { constants as system } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import koffi from 'koffi';
import type { KernelAnswer } from '../../platform/kernel.js';
import type { ThreadInput } from './kernel-write.js';

/* A thread: everything is synchronous, because it must happen in this one. See kernel-write.ts. */

/** keyctl.h, KEY_SPEC_THREAD_KEYRING. */
const threadKeyring = -1;

parentPort?.postMessage(answer(workerData as ThreadInput));

function answer({ file, text, key }: ThreadInput): KernelAnswer {
  if (key === undefined) return write(file, text);
  const keys = keyFunctions();
  if (keys === undefined) return { wrote: false, step: 'key', errno: system.errno.ENOSYS };
  const serial = keys.add(key.type, key.name, key.payload, key.payload.length, threadKeyring);
  const errno = koffi.errno();
  key.payload.fill(0);
  if (serial < 0) return { wrote: false, step: 'key', errno };
  try {
    return write(file, text);
  } finally {
    // The kernel wipes what nobody holds.
    keys.unlink(serial, threadKeyring);
  }
}

function write(file: string, text: string): KernelAnswer {
  let descriptor: number;
  try {
    descriptor = openSync(file, constants.O_WRONLY);
  } catch (error) {
    return { wrote: false, step: 'open', errno: errnoOf(error) };
  }
  try {
    writeSync(descriptor, text);
    return { wrote: true };
  } catch (error) {
    return { wrote: false, step: 'write', errno: errnoOf(error) };
  } finally {
    closeSync(descriptor);
  }
}

/** add_key(2) and keyctl_unlink(3): glibc has no wrappers for them. */
function keyFunctions() {
  try {
    const library = koffi.load('libkeyutils.so.1');
    return {
      add: library.func(
        'int32_t add_key(const char *type, const char *description, const void *payload, size_t length, int32_t keyring)',
      ) as (type: string, name: string, payload: Uint8Array, length: number, keyring: number) => number,
      unlink: library.func('long keyctl_unlink(int32_t key, int32_t keyring)') as (
        key: number,
        keyring: number,
      ) => number,
    };
  } catch {
    return undefined;
  }
}

function errnoOf(error: unknown): number {
  return -((error as NodeJS.ErrnoException).errno ?? -system.errno.EIO);
}
