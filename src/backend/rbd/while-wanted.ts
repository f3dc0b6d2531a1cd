import type { CallContext } from '../../platform/call-context.js';

/** The wait for something that can't be aborted was given up; the thing goes on. */
export class GivenUp extends Error {
  readonly why: 'timed-out' | 'aborted';

  constructor(why: 'timed-out' | 'aborted') {
    super(why);
    this.name = 'GivenUp';
    this.why = why;
  }
}

/** Waits until the time is up or the caller goes away. @throws GivenUp, and what the work throws. */
export async function whileWanted<T>(ctx: CallContext, work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort = (): void => undefined;
  const givenUp = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new GivenUp('timed-out'));
    }, timeoutMs);
    onAbort = () => {
      reject(new GivenUp('aborted'));
    };
    if (ctx.signal.aborted) onAbort();
    else ctx.signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, givenUp]);
  } finally {
    clearTimeout(timer);
    ctx.signal.removeEventListener('abort', onAbort);
  }
}
