/** The wait for something that can't be aborted was given up; the thing goes on. */
export class GivenUp extends Error {
  readonly why: 'timed-out' | 'aborted';

  constructor(why: 'timed-out' | 'aborted') {
    super(why);
    this.name = 'GivenUp';
    this.why = why;
  }
}

/** Waits until the time is up or, with a signal, the caller goes away. @throws GivenUp, and what the work throws. */
export async function whileWanted<T>(work: Promise<T>, timeoutMs: number, signal?: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort = (): void => undefined;
  const givenUp = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new GivenUp('timed-out'));
    }, timeoutMs);
    onAbort = () => {
      reject(new GivenUp('aborted'));
    };
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, givenUp]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
