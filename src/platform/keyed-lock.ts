import { DriverError, isDriverError } from '../domain/errors.js';

interface Running {
  readonly operation: string;
  readonly fingerprint: string;
  readonly result: Promise<unknown>;
}

/**
 * One operation per key at a time. The same request arriving while its twin runs shares the twin's result; another one
 * is told ABORTED at once (CSI spec, "Error Scheme": operation pending for volume). Taken synchronously: there is no
 * moment between looking and locking.
 */
export class KeyedLock {
  readonly #running = new Map<string, Running>();

  /**
   * @param key what is locked, e.g. a volume id
   * @param operation the RPC's name, for the message of whoever is refused
   * @param fingerprint equal for requests that ask for the same thing
   */
  async run<T>(key: string, operation: string, fingerprint: string, work: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key);
    if (running !== undefined) {
      if (running.operation === operation && running.fingerprint === fingerprint) return (await shared(running)) as T;
      throw new DriverError(
        'ABORTED',
        `${running.operation} is still working on ${key}: repeat ${operation} when it has ended`,
      );
    }
    const result = (async () => work())();
    this.#running.set(key, { operation, fingerprint, result });
    try {
      return await result;
    } finally {
      this.#running.delete(key);
    }
  }
}

/** The first caller's going away must not look like the twin's own. */
async function shared(running: Running): Promise<unknown> {
  try {
    return await running.result;
  } catch (error) {
    if (isDriverError(error, 'CANCELLED') || isDriverError(error, 'DEADLINE_EXCEEDED')) {
      throw new DriverError(
        'ABORTED',
        `the ${running.operation} this one waited for was given up by its caller: repeat it`,
      );
    }
    throw error;
  }
}
