import { open } from 'node:fs/promises';
import { isDriverError } from '../../src/domain/errors.js';
import { withDeadline } from '../../src/platform/deadline.js';

const patienceMs = 10_000;

/**
 * A text in a file of the volume, or at the start of the device, down to the disk.
 * @returns the errno's name when that fails, UNAVAILABLE when there is no answer: a ceph-fuse that was shut out may keep its callers waiting.
 */
export async function write(path: string, text: string): Promise<string | undefined> {
  return withDeadline(writeDown(path, text), patienceMs, `writing ${path}`).catch((error: unknown) => {
    if (isDriverError(error)) return error.code;
    throw error;
  });
}

async function writeDown(path: string, text: string): Promise<string | undefined> {
  try {
    const file = await open(path, path.endsWith('/data') ? 'w' : 'r+');
    try {
      await file.write(Buffer.alloc(4096, text), 0, 4096, 0);
      await file.sync();
    } finally {
      await file.close();
    }
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
