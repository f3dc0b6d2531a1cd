/** Runs a task when a place is free; a waiting task leaves the queue when its signal aborts. */
export type Limiter = <T>(task: () => Promise<T>, signal?: AbortSignal) => Promise<T>;

/** At most `limit` tasks at once, first come first served. */
export function limitConcurrency(limit: number): Limiter {
  if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`a limit of ${limit} would let nothing run`);
  let running = 0;
  const waiting: (() => void)[] = [];

  const enter = (signal: AbortSignal | undefined): Promise<void> => {
    if (running < limit) {
      running++;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const start = () => {
        signal?.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = () => {
        waiting.splice(waiting.indexOf(start), 1);
        reject(signal?.reason instanceof Error ? signal.reason : new Error('the wait for a free place was given up'));
      };
      waiting.push(start);
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  };

  return async (task, signal) => {
    signal?.throwIfAborted();
    await enter(signal);
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      // The place passes straight on, so no newcomer can slip in between.
      if (next === undefined) running--;
      else next();
    }
  };
}
