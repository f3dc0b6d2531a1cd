import { DriverError } from '../domain/errors.js';

/**
 * Waits at most so long for something that can't be aborted; it goes on by itself and its outcome is dropped.
 * @throws DriverError UNAVAILABLE when the time is up.
 */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(
        new DriverError('UNAVAILABLE', `${what} gave no answer within ${timeoutMs} ms: the storage behind it hangs`),
      );
    }, timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
