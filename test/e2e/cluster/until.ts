import { setTimeout as sleep } from 'node:timers/promises';

export interface Patience {
  readonly withinMs: number;
  /** Aborted when the run is interrupted. */
  readonly signal: AbortSignal;
}

const betweenMs = 200;

/**
 * Asks again until there is an answer. What is thrown meanwhile is forgotten, unless it is the last.
 * @param what ends the sentence "after 60 s there is still no ..."
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  { withinMs, signal }: Patience,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    signal.throwIfAborted();
    let last: unknown;
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (performance.now() > end)
      throw new Error(`after ${withinMs / 1_000} s there is still no ${what}`, { cause: last });
    await sleep(betweenMs, undefined, { signal });
  }
}

/** Thrown by what is asked when waiting is of no use any more. */
export class Hopeless extends Error {}
