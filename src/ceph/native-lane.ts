import { isDriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import { type CephCall, CephError, cephError, errno, isCephError } from './ceph-error.js';
import type { ClusterGate } from './cluster-gate.js';

/** A native call's own timeout comes first, with the errno it deserves. */
const overdueFactor = 1.2;

export interface LaneOptions {
  /** Shared by all connections to one cluster. */
  readonly gate: ClusterGate;
  /** The longest of the native calls' own timeouts, in milliseconds. */
  readonly nativeTimeoutMs: number;
  /** Called when a job ends. */
  readonly onUse: () => void;
}

export type Work = 'short' | 'long' | 'writing';

export interface RunOptions {
  /**
   * `long`: may take any time by its nature. `writing`: that too, and it opens an image for writing; cut off, it leaves a watch and
   * a lock that last as long as the connection does. `short` unless said.
   */
  readonly work?: Work;
  /** No request waits for it, and it may take hours: it enters beside the calls that do. */
  readonly isBackground?: boolean;
}

/**
 * The way into the native library for one connection. A job always runs to its end, so that what it opened gets closed;
 * an RPC whose deadline passes stops waiting for it. A job that timed out narrows the gate until one succeeds again.
 */
export class NativeLane {
  readonly #gate: ClusterGate;
  readonly #nativeTimeoutMs: number;
  readonly #onUse: () => void;
  readonly #onDrained: (() => void)[] = [];
  #busy = 0;
  #lastUsedMs = Date.now();
  #broken = false;
  #closed = false;

  constructor(options: LaneOptions) {
    this.#gate = options.gate;
    this.#nativeTimeoutMs = options.nativeTimeoutMs;
    this.#onUse = options.onUse;
  }

  /** @throws CephError UNAVAILABLE when the deadline passes, or when the cluster stays silent for longer than its timeouts. */
  async run<T>(ctx: CallContext, call: CephCall, job: () => Promise<T>, options: RunOptions = {}): Promise<T> {
    if (this.#closed) throw closedError(call);
    if (ctx.signal.aborted) throw this.#givenUp(ctx, call);
    const state: JobState = {
      work: options.work ?? 'short',
      isBackground: options.isBackground ?? false,
      sinceMs: Date.now(),
      started: false,
      abandoned: false,
    };
    const running = this.#enter(state, call, job);
    const outcome = await this.#wait(ctx, running, state);
    if (outcome !== undefined) return outcome.value;
    state.abandoned = true;
    throw this.#givenUp(ctx, call);
  }

  /** Milliseconds since the last job ended; 0 while one runs or waits. */
  get idleMs(): number {
    return this.#busy > 0 ? 0 : Date.now() - this.#lastUsedMs;
  }

  /** The client is on the blocklist, was refused, or holds locks that it no longer knows of: only a new connection helps. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Lets nothing in any more; settles when the last job has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#busy === 0) return;
    await new Promise<void>((resolve) => this.#onDrained.push(resolve));
  }

  async #enter<T>(state: JobState, call: CephCall, job: () => Promise<T>): Promise<Outcome<T>> {
    this.#busy += 1;
    try {
      return await this.#gate.enter(async () => {
        if (state.abandoned) return undefined;
        if (this.#closed) throw closedError(call);
        state.started = true;
        state.sinceMs = Date.now();
        return { value: await this.#observe(job, state.work) };
      }, state.isBackground);
    } finally {
      this.#busy -= 1;
      this.#lastUsedMs = Date.now();
      this.#onUse();
      if (this.#busy === 0) for (const resolve of this.#onDrained.splice(0)) resolve();
    }
  }

  /** undefined when waiting ended first; the work goes on, and its late failure is nobody's. */
  async #wait<T>(ctx: CallContext, running: Promise<Outcome<T>>, state: JobState): Promise<Outcome<T>> {
    let stop = (): void => undefined;
    const ended = new Promise<undefined>((resolve) => {
      stop = () => {
        resolve(undefined);
      };
    });
    ctx.signal.addEventListener('abort', stop, { once: true });
    const timer = setInterval(() => {
      if (this.#overdue(state)) stop();
    }, this.#nativeTimeoutMs / 4);
    try {
      running.catch(() => undefined);
      return await Promise.race([running, ended]);
    } finally {
      clearInterval(timer);
      ctx.signal.removeEventListener('abort', stop);
    }
  }

  /** Waiting for its turn behind silent calls, or under way in one of the calls that know no timeout (a missing pool's look-up). */
  #overdue(state: JobState): boolean {
    if (Date.now() - state.sinceMs < this.#nativeTimeoutMs * overdueFactor) return false;
    return state.started ? state.work === 'short' : this.#gate.suspect && !state.isBackground;
  }

  async #observe<T>(job: () => Promise<T>, work: Work): Promise<T> {
    try {
      const value = await job();
      this.#gate.answered();
      return value;
    } catch (error) {
      const silent = isCephError(error, errno.ETIMEDOUT);
      // OSDs go by the capabilities that the user had when it connected: what is refused may be allowed to a new connection.
      const refused = isCephError(error, errno.EPERM);
      this.#broken ||= refused || isCephError(error, errno.EBLOCKLISTED) || (silent && work === 'writing');
      if (silent) this.#gate.silent();
      else this.#gate.answered();
      throw error;
    }
  }

  #givenUp(ctx: CallContext, call: CephCall): unknown {
    const reason: unknown = ctx.signal.reason;
    if (ctx.signal.aborted && !isDriverError(reason, 'DEADLINE_EXCEEDED')) return reason;
    if (this.#busy > 0) this.#gate.silent();
    return cephError(-errno.ETIMEDOUT, call);
  }
}

type Outcome<T> = { readonly value: T } | undefined;

interface JobState {
  readonly work: Work;
  readonly isBackground: boolean;
  /** When it began to wait; once started, when it started. */
  sinceMs: number;
  started: boolean;
  /** Nobody waits for it any more: it need not start. */
  abandoned: boolean;
}

function closedError(call: CephCall): CephError {
  return new CephError(
    'UNAVAILABLE',
    `can't ${call.doing} in cluster "${call.clusterId}": the connection has been closed, repeat the request`,
    errno.ENOTCONN,
  );
}
