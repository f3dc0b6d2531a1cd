import pLimit from 'p-limit';
import { isDriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import { type CephCall, cephError, errno, isCephError } from './ceph-error.js';

/** Native calls under way at once per connection; libuv's pool (see bin/cuttle.cjs) has room for several such lanes. */
const healthyConcurrency = 16;
/** A cluster that doesn't answer may block this many threads, not all of them. */
const suspectConcurrency = 2;

/**
 * The way into the native library for one connection. A job always runs to its end, so that what it opened gets closed;
 * an RPC whose deadline passes stops waiting for it. A job that timed out narrows the lane until one succeeds again.
 */
export class NativeLane {
  readonly #limit = pLimit(healthyConcurrency);
  #broken = false;

  async run<T>(ctx: CallContext, call: CephCall, job: () => Promise<T>): Promise<T> {
    if (ctx.signal.aborted) throw this.#givenUp(ctx, call);
    const running = this.#limit(async () => (ctx.signal.aborted ? undefined : { value: await this.#observe(job) }));
    const result = await raceWithSignal(running, ctx.signal);
    if (result === undefined) throw this.#givenUp(ctx, call);
    return result.value;
  }

  get idle(): boolean {
    return this.#limit.activeCount === 0 && this.#limit.pendingCount === 0;
  }

  /** The cluster has put this client on its blocklist: only a new connection helps. */
  get broken(): boolean {
    return this.#broken;
  }

  async #observe<T>(job: () => Promise<T>): Promise<T> {
    try {
      const value = await job();
      this.#limit.concurrency = healthyConcurrency;
      return value;
    } catch (error) {
      this.#broken ||= isCephError(error, errno.EBLOCKLISTED);
      const silent = isCephError(error, errno.ETIMEDOUT);
      this.#limit.concurrency = silent ? suspectConcurrency : healthyConcurrency;
      throw error;
    }
  }

  #givenUp(ctx: CallContext, call: CephCall): unknown {
    const reason: unknown = ctx.signal.reason;
    if (!isDriverError(reason, 'DEADLINE_EXCEEDED')) return reason;
    if (this.#limit.activeCount > 0) this.#limit.concurrency = suspectConcurrency;
    return cephError(-errno.ETIMEDOUT, call);
  }
}

/** undefined when the signal comes first; the work goes on, and its late failure is nobody's. */
async function raceWithSignal<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  let stop: (() => void) | undefined;
  const aborted = new Promise<undefined>((resolve) => {
    stop = () => {
      resolve(undefined);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    work.catch(() => undefined);
    return await Promise.race([work, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}
