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
  const time = AbortSignal.timeout(timeoutMs);
  const either = AbortSignal.any([ctx.signal, time]);
  let giveUp = (): void => undefined;
  const givenUp = new Promise<never>((_resolve, reject) => {
    giveUp = () => {
      reject(new GivenUp(time.aborted ? 'timed-out' : 'aborted'));
    };
    if (either.aborted) giveUp();
    else either.addEventListener('abort', giveUp, { once: true });
  });
  try {
    return await Promise.race([work, givenUp]);
  } finally {
    either.removeEventListener('abort', giveUp);
    // Neither may be left to reject unheard.
    work.catch(() => undefined);
  }
}
