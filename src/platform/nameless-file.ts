import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** fcntl.h, __O_TMPFILE | O_DIRECTORY: a file without a name, gone when its last descriptor is closed (open(2)). */
const tmpFile = 0o20200000;
const memoryDirectory = '/dev/shm';

/**
 * A file in memory that never has a name: how a secret reaches a program as /dev/stdin or /dev/fd/3, without leaving anything
 * when either process is killed. (A pipe would do, but Node's are sockets, which can't be opened under /dev/fd.)
 */
export async function namelessFile(content: string): Promise<FileHandle> {
  const file = await open(memoryDirectory, tmpFile | constants.O_RDWR, 0o600);
  // At an offset, so that the descriptor itself stays at the start for a program that inherits and reads it.
  await file.write(content, 0);
  return file;
}

/** execa hands on a descriptor given by its number; its types leave numbers out. */
export function asStdio(file: FileHandle): 'inherit' {
  return file.fd as unknown as 'inherit';
}
