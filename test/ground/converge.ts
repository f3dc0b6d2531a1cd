import { status } from '@grpc/grpc-js';
import { setTimeout as sleep } from 'node:timers/promises';

/** What an orchestrator repeats as it is (docs/errors.md). */
export const mayBeRepeated: ReadonlySet<number> = new Set([
  status.ABORTED,
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
]);

const retryMs = 250;

export interface ConvergeOptions {
  /** For the message. */
  readonly what: string;
  readonly withinMs: number;
  /** Codes besides mayBeRepeated that are repeated. */
  readonly also?: readonly number[];
}

/** Asks until it is answered. @throws Error with a code that ends it, or when time is up. */
export async function converge<T>(ask: () => Promise<T>, { what, withinMs, also = [] }: ConvergeOptions): Promise<T> {
  const end = Date.now() + withinMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const { code, details } = error as { code?: number; details?: string };
      const again = code !== undefined && (mayBeRepeated.has(code) || also.includes(code));
      if (!again || Date.now() > end)
        throw new Error(`${what} gave ${String(code)}: ${details ?? String(error)}`, { cause: error });
      await sleep(retryMs);
    }
  }
}
