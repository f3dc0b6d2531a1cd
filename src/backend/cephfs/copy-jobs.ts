import type { CephFileSystem } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Logger } from '../../platform/logger.js';

/** Files of one volume that are copied at the same time. */
const copyConcurrency = 8;
/** How long a request waits for a copy before it answers "not yet": small volumes are ready by then. */
const waitMs = 8_000;
/** A copy that nobody has asked for any more: its claim was deleted, or its orchestrator is gone. */
const forgottenMs = 15 * 60_000;
const sweepMs = 60_000;

interface Job {
  readonly done: Promise<void>;
  readonly stop: AbortController;
  readonly from: string;
  copied: { readonly entries: number; readonly bytes: bigint };
  lastAskedMs: number;
}

export interface CopyRequest {
  readonly fs: CephFileSystem;
  /** Equal for requests that want the same copy, on whatever connection. */
  readonly key: string;
  readonly from: string;
  /** A hidden directory that is there. */
  readonly to: string;
  /** Takes away what a forgotten copy has left. */
  readonly abandon: () => Promise<void>;
}

/** Copies of directories that go on when the request that has begun them is answered "not yet". */
export class CopyJobs {
  readonly #jobs = new Map<string, Job>();
  readonly #log: Logger;
  readonly #sweeper: NodeJS.Timeout;

  constructor(log: Logger) {
    this.#log = log;
    this.#sweeper = setInterval(() => {
      this.#stopForgotten();
    }, sweepMs);
    this.#sweeper.unref();
  }

  /** Returns when the copy is whole. @throws DriverError ABORTED with the progress while it is not; else what it failed with. */
  async wait(ctx: CallContext, request: CopyRequest): Promise<void> {
    const job = this.#jobs.get(request.key) ?? this.#start(request);
    job.lastAskedMs = Date.now();
    const ready = await Promise.race([job.done.then(() => true), elapsed(ctx, waitMs)]);
    if (ready) return;
    const { entries, bytes } = job.copied;
    throw new DriverError(
      'ABORTED',
      `the volume is being made from ${request.from}: ${entries} files and directories with ${bytes.toString()} bytes are copied so far; repeat the request`,
    );
  }

  /** Is anything being copied from this directory? */
  reads(path: string): boolean {
    return [...this.#jobs.values()].some((job) => job.from === path);
  }

  /** Ends a copy that is not wanted any more, and waits until it touches nothing. */
  async cancel(key: string): Promise<void> {
    const job = this.#jobs.get(key);
    job?.stop.abort(new DriverError('CANCELLED', 'the volume that was being made is deleted'));
    await job?.done.catch(() => undefined);
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    const reason = new DriverError('CANCELLED', 'the driver is shutting down');
    for (const job of this.#jobs.values()) job.stop.abort(reason);
    await Promise.allSettled([...this.#jobs.values()].map(async (job) => job.done));
  }

  #start({ fs, key, from, to, abandon }: CopyRequest): Job {
    const stop = new AbortController();
    const ctx: CallContext = { signal: stop.signal, log: this.#log, requestId: 'copy' };
    this.#log.info({ from, to }, 'copying a directory');
    const copying = fs.copyTree(ctx, from, to, {
      concurrency: copyConcurrency,
      onProgress: (copied) => {
        job.copied = copied;
      },
    });
    const done = copying
      .catch(async (error: unknown) => {
        if (stop.signal.reason === forgotten) await abandon();
        throw error;
      })
      .finally(() => {
        this.#jobs.delete(key);
      });
    const job: Job = { done, stop, from, copied: { entries: 0, bytes: 0n }, lastAskedMs: Date.now() };
    done.then(
      () => {
        this.#log.info({ from, to }, 'the directory is copied');
      },
      (error: unknown) => {
        this.#log.warn({ from, to, err: error }, 'a copy has ended before it was whole');
      },
    );
    this.#jobs.set(key, job);
    return job;
  }

  #stopForgotten(): void {
    for (const job of this.#jobs.values()) if (Date.now() - job.lastAskedMs > forgottenMs) job.stop.abort(forgotten);
  }
}

const forgotten = new DriverError('CANCELLED', 'nobody has asked for this copy for a while');

/** false after so long, or when the caller goes away. */
async function elapsed(ctx: CallContext, ms: number): Promise<false> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      ctx.signal.removeEventListener('abort', end);
      resolve(false);
    };
    const timer = setTimeout(end, ms);
    ctx.signal.addEventListener('abort', end, { once: true });
  });
}
