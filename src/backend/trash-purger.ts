import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import type { Logger } from '../platform/logger.js';

/** Where deleted volumes of one place (a pool, a group of directories) lie until their space is freed. */
export interface Trash {
  /** For the log. */
  readonly name: string;
  /** What lies in it, ours and others'. */
  entries(ctx: CallContext): Promise<string[]>;
  /** Takes or renews the right to purge it; a crash gives it up. @returns false when another controller has it. */
  lock(ctx: CallContext): Promise<boolean>;
  unlock(ctx: CallContext): Promise<void>;
  /** @param unhurried asked for within long work: waits while requests are under way. @throws DriverError */
  purge(ctx: CallContext, entry: string, unhurried: () => Promise<void>): Promise<PurgeOutcome>;
}

/** `left`: not yet; it is tried again. */
export type PurgeOutcome = 'purged' | 'left' | 'not ours';

export interface TrashPurgerOptions<Place> {
  readonly open: (ctx: CallContext, place: Place, credentials: Credentials | undefined) => Promise<Trash>;
  /** Equal for equal places. */
  readonly keyOf: (place: Place) => string;
  readonly log: Logger;
  /** Entries of one trash whose space is freed at the same time. */
  readonly concurrency?: number;
  /** Deletes that come together are purged together. */
  readonly delayMs?: number;
  readonly retryMs?: number;
}

/** So long after the last request the cluster counts as free for purging at full speed. */
const quietMs = 500;
/** Beside requests a volume is purged so often, while few wait: freeing space is never urgent, a waiting pod is. */
const unhurriedMs = 1_000;
const fewEntries = 200;
/** With more of them waiting, purging takes this share of the time; with very many, all of it. */
const pausePerWork = 3;
const veryManyEntries = 2_000;
const renewLockMs = 20_000;

interface Running {
  again: boolean;
  readonly done: Promise<void>;
}

/**
 * Frees the space of volumes that DeleteVolume has hidden in a trash. One controller at a time per trash, held by a lock in the
 * cluster that a crash gives up. While there are requests, it steps back.
 */
export class TrashPurger<Place> {
  readonly #options: Required<TrashPurgerOptions<Place>>;
  readonly #running = new Map<string, Running>();
  readonly #seen = new Set<string>();
  readonly #closing = new AbortController();
  #requests = 0;
  #lastRequestMs = 0;

  constructor(options: TrashPurgerOptions<Place>) {
    this.#options = { concurrency: 2, delayMs: 1_000, retryMs: 5_000, ...options };
  }

  /** Something of ours is in this place's trash. Returns at once. */
  schedule(place: Place, credentials: Credentials | undefined): void {
    if (this.#closing.signal.aborted) return;
    const key = this.#options.keyOf(place);
    this.#seen.add(key);
    const running = this.#running.get(key);
    if (running !== undefined) {
      running.again = true;
      return;
    }
    const done = this.#run(key, place, credentials).finally(() => {
      this.#running.delete(key);
    });
    this.#running.set(key, { again: false, done });
  }

  /** Runs a request; while there are any, purging steps back. */
  async beside<T>(request: () => Promise<T>): Promise<T> {
    this.#requests += 1;
    try {
      return await request();
    } finally {
      this.#requests -= 1;
      this.#lastRequestMs = Date.now();
    }
  }

  /** The first time this process meets a place it looks for what an earlier process left. */
  meet(place: Place, credentials: Credentials | undefined): void {
    if (!this.#seen.has(this.#options.keyOf(place))) this.schedule(place, credentials);
  }

  /** Waits for the removals that are under way. */
  async close(): Promise<void> {
    this.#closing.abort(new DriverError('CANCELLED', 'the driver is shutting down'));
    await Promise.allSettled([...this.#running.values()].map(async (running) => running.done));
  }

  async #run(key: string, place: Place, credentials: Credentials | undefined): Promise<void> {
    const ctx: CallContext = { signal: this.#closing.signal, log: this.#options.log, requestId: 'purge' };
    let waitMs = this.#options.delayMs;
    for (;;) {
      if (!(await this.#pause(waitMs))) return;
      const running = this.#running.get(key);
      if (running !== undefined) running.again = false;
      const left = await this.#purge(ctx, place, credentials);
      if (left === 0 && this.#running.get(key)?.again !== true) return;
      waitMs = left === 0 ? this.#options.delayMs : this.#options.retryMs;
    }
  }

  get #quiet(): boolean {
    return this.#requests === 0 && Date.now() - this.#lastRequestMs > quietMs;
  }

  async #pause(ms: number): Promise<boolean> {
    return sleep(ms, true, { signal: this.#closing.signal, ref: false }).catch(() => false);
  }

  /** @returns how many volumes of ours could not be purged yet. */
  async #purge(ctx: CallContext, place: Place, credentials: Credentials | undefined): Promise<number> {
    try {
      const trash = await this.#options.open(ctx, place, credentials);
      if ((await trash.entries(ctx)).length === 0) return 0;
      if (!(await trash.lock(ctx))) return 1;
      try {
        return await this.#purgeEntries(ctx, trash);
      } finally {
        await trash.unlock(ctx).catch(() => undefined);
      }
    } catch (error) {
      if (ctx.signal.aborted) return 0;
      this.#options.log.warn({ err: error, place: this.#options.keyOf(place) }, 'the trash could not be purged');
      // A pool that is gone or a key that is refused is not going to change by itself.
      return error instanceof DriverError && error.code === 'UNAVAILABLE' ? 1 : 0;
    }
  }

  async #purgeEntries(ctx: CallContext, trash: Trash): Promise<number> {
    const entries = await trash.entries(ctx);
    let left = 0;
    let purged = 0;
    let renewedMs = Date.now();
    const worker = async (first: boolean) => {
      while (!ctx.signal.aborted && entries.length > 0) {
        // Only the first goes on beside requests.
        if (!first && !this.#quiet) {
          await this.#pause(quietMs / 5);
          continue;
        }
        const startMs = Date.now();
        const outcome = await trash.purge(ctx, entries.pop() ?? '', async () => this.#stepBack(entries.length));
        if (outcome === 'left') left += 1;
        if (outcome === 'purged') purged += 1;
        if (Date.now() - renewedMs > renewLockMs) {
          renewedMs = Date.now();
          await trash.lock(ctx);
        }
        if (!this.#quiet && outcome !== 'not ours') await this.#pause(pauseMs(entries.length, Date.now() - startMs));
      }
    };
    await Promise.all(Array.from({ length: this.#options.concurrency }, async (_, i) => worker(i === 0)));
    if (purged > 0) this.#options.log.info({ trash: trash.name, purged, left }, 'freed the space of deleted volumes');
    return left;
  }

  /** Between two parts of one long removal. */
  async #stepBack(waiting: number): Promise<void> {
    if (!this.#quiet && waiting < veryManyEntries) await this.#pause(quietMs / 5);
  }
}

function pauseMs(waiting: number, workMs: number): number {
  if (waiting < fewEntries) return unhurriedMs;
  return waiting < veryManyEntries ? workMs * pausePerWork : 0;
}
