import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type KernelLog, type KernelLogMark, noKernelLog } from '../../platform/kernel.js';
import { loadLibrary, type NativeFunction } from './library.js';

/** The kernel's limit of one record (printk, CONSOLE_EXT_LOG_MAX). */
const recordBytes = 8_192;
/** A log that fills faster than it is read is given up. */
const maxRecords = 2_000;
const seekEnd = 2;

let lseek: NativeFunction | undefined;

/** /dev/kmsg: Linux, Documentation/ABI/testing/dev-kmsg. A container may not have it, or may not read it. */
export function kernelLogAt(path: string): KernelLog {
  return {
    mark: async () => {
      const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined);
      if (file === undefined) return noKernelLog.mark();
      // Node can't seek: a read at a position is pread(2), which this device doesn't know.
      lseek ??= loadLibrary('libc.so.6', 'libc6').call('int64_t lseek(int fd, int64_t offset, int whence)');
      if (lseek.sync(file.fd, 0, seekEnd) >= 0) return markOf(file);
      await file.close();
      return noKernelLog.mark();
    },
  };
}

export const kernelLog = kernelLogAt('/dev/kmsg');

function markOf(file: FileHandle): KernelLogMark {
  return {
    lines: async () => {
      const lines: string[] = [];
      for (let records = 0; records < maxRecords; records++) {
        const record = await nextRecord(file);
        if (record === undefined) break;
        // `6,339,5140900,-;message`, and lines of details that begin with a blank.
        const message = /^[^;]*;([^\n]*)/.exec(record)?.[1];
        if (message !== undefined) lines.push(message);
      }
      return lines;
    },
    close: async () => file.close(),
  };
}

/** undefined at the end; empty for records that were overwritten meanwhile. */
async function nextRecord(file: FileHandle): Promise<string | undefined> {
  const buffer = Buffer.alloc(recordBytes);
  try {
    const { bytesRead } = await file.read(buffer, 0, recordBytes, null);
    return bytesRead === 0 ? undefined : buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPIPE' ? '' : undefined;
  }
}
