import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../domain/errors.js';
import type { BackgroundCount } from '../platform/background-count.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import type { Logger } from '../platform/logger.js';

/** Work that waits in one place of a cluster (a pool, a group of directories), where every controller sees it. */
export interface Backlog {
  /** For the log. */
  readonly name: string;
  /** What waits in it, ours and others'. */
  entries(ctx: CallContext): Promise<string[]>;
  /** Takes or renews the right to work on it; a crash gives it up. @returns false when another controller has it. */
  lock(ctx: CallContext): Promise<boolean>;
  unlock(ctx: CallContext): Promise<void>;
  /** Somebody waits for this one: it comes first, and beside requests. */
  isUrgent?(entry: string): boolean;
  /** @param unhurried asked for within long work: waits while requests are under way. @throws DriverError */
  work(ctx: CallContext, entry: string, unhurried: () => Promise<void>): Promise<WorkOutcome>;
}

/** `left`: not yet; it is tried again. */
export type WorkOutcome = 'done' | 'left' | 'not ours';

export interface BackgroundQueueOptions<Place> {
  readonly open: (ctx: CallContext, place: Place, credentials: Credentials | undefined) => Promise<Backlog>;
  /** Equal for equal places. */
  readonly keyOf: (place: Place) => string;
  readonly log: Logger;
  /** What it does, for the log: `freeing the space of deleted volumes`. */
  readonly doing: string;
  readonly count: BackgroundCount;
  /** Entries of one place that are worked on at the same time. */
  readonly concurrency?: number;
  /** What comes together is done together. */
  readonly delayMs?: number;
  readonly retryMs?: number;
}

/** So long after the last request the cluster counts as free for work at full speed. */
const quietMs = 500;
/** Beside requests an entry is begun so often, while few wait: this work is never urgent, a waiting pod is. */
const unhurriedMs = 1_000;
const fewEntries = 200;
/** With more of them waiting, the work takes this share of the time; with very many, all of it. */
const pausePerWork = 3;
const veryManyEntries = 2_000;
const renewLockMs = 10_000;
const unlockMs = 2_000;

interface Round {
  /** Entries of ours that could not be done yet. */
  readonly left: number;
  readonly done: number;
}

interface Running {
  again: boolean;
  readonly done: Promise<void>;
}

/**
 * Work of controllers that no request waits for: the space of deleted volumes, chains of clones. One controller at a time per
 * place, held by a lock in the cluster that a crash gives up; what waits is written down there, so that a restart goes on. While there
 * are requests, it steps back.
 */
export class BackgroundQueue<Place> {
  readonly #options: Required<BackgroundQueueOptions<Place>>;
  readonly #running = new Map<string, Running>();
  readonly #seen = new Set<string>();
  readonly #closing = new AbortController();
  #requests = 0;
  #lastRequestMs = 0;

  constructor(options: BackgroundQueueOptions<Place>) {
    this.#options = { concurrency: 2, delayMs: 1_000, retryMs: 5_000, ...options };
  }

  /** Something of ours waits in this place. Returns at once. */
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

  /** Runs a request; while there are any, the work steps back. */
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

  /** Waits for what is under way. */
  async close(): Promise<void> {
    this.#closing.abort(new DriverError('CANCELLED', 'the driver is shutting down'));
    await Promise.allSettled([...this.#running.values()].map(async (running) => running.done));
  }

  async #run(key: string, place: Place, credentials: Credentials | undefined): Promise<void> {
    const ctx: CallContext = { signal: this.#closing.signal, log: this.#options.log, requestId: 'background' };
    let waitMs = this.#options.delayMs;
    for (;;) {
      if (!(await this.#pause(waitMs))) return;
      const running = this.#running.get(key);
      if (running !== undefined) running.again = false;
      const { left, done } = await this.#round(ctx, place, credentials);
      if (left === 0 && this.#running.get(key)?.again !== true) return;
      // What is left may have waited for what is done, as an image waits for its last clone.
      waitMs = left === 0 || done > 0 ? this.#options.delayMs : this.#options.retryMs;
    }
  }

  get #quiet(): boolean {
    return this.#requests === 0 && Date.now() - this.#lastRequestMs > quietMs;
  }

  async #pause(ms: number): Promise<boolean> {
    return sleep(ms, true, { signal: this.#closing.signal, ref: false }).catch(() => false);
  }

  async #round(ctx: CallContext, place: Place, credentials: Credentials | undefined): Promise<Round> {
    const { count, doing, log } = this.#options;
    try {
      const backlog = await this.#options.open(ctx, place, credentials);
      const waiting = (await backlog.entries(ctx)).length;
      count.waiting(backlog.name, waiting);
      if (waiting === 0) return { left: 0, done: 0 };
      if (!(await backlog.lock(ctx))) return { left: 1, done: 0 };
      try {
        const { left, done } = await this.#workOff(ctx, backlog);
        if (done > 0) log.info({ place: backlog.name, done, left }, doing);
        return { left, done };
      } finally {
        // At shutdown too: whoever comes next would wait until the lock has run out.
        await backlog.unlock({ ...ctx, signal: AbortSignal.timeout(unlockMs) }).catch(() => undefined);
      }
    } catch (error) {
      if (ctx.signal.aborted) return { left: 0, done: 0 };
      log.warn({ err: error, place: this.#options.keyOf(place) }, `${doing} failed`);
      // A pool that is gone or a key that is refused is not going to change by itself.
      return { left: error instanceof DriverError && error.code === 'UNAVAILABLE' ? 1 : 0, done: 0 };
    }
  }

  async #workOff(ctx: CallContext, backlog: Backlog): Promise<Round> {
    const { count } = this.#options;
    const isUrgent = (entry: string) => backlog.isUrgent?.(entry) === true;
    // They are taken from the end.
    const entries = (await backlog.entries(ctx)).sort((a, b) => Number(isUrgent(a)) - Number(isUrgent(b)));
    const all = entries.length;
    const outcomes: Record<WorkOutcome, number> = { done: 0, left: 0, 'not ours': 0 };
    const hold = keepLocked(ctx, backlog);
    const worker = async (first: boolean) => {
      for (;;) {
        const entry = entries.at(-1);
        if (entry === undefined || ctx.signal.aborted || !hold.held) return;
        // Only the first goes on beside requests.
        if (!first && !this.#quiet && !isUrgent(entry)) {
          await this.#pause(quietMs / 5);
          continue;
        }
        entries.pop();
        const startMs = Date.now();
        const outcome = await backlog.work(ctx, entry, async () => this.#stepBack(entries.length));
        outcomes[outcome] += 1;
        if (outcome === 'done') count.finished(backlog.name);
        count.waiting(backlog.name, all - outcomes.done - outcomes['not ours']);
        if (!this.#quiet && outcome !== 'not ours') await this.#pause(pauseMs(entries.length, Date.now() - startMs));
      }
    };
    try {
      await Promise.all(Array.from({ length: this.#options.concurrency }, async (_, i) => worker(i === 0)));
    } finally {
      hold.end();
    }
    return { left: outcomes.left + (hold.held ? 0 : 1), done: outcomes.done };
  }

  /** Between two parts of one long piece of work. */
  async #stepBack(waiting: number): Promise<void> {
    if (!this.#quiet && waiting < veryManyEntries) await this.#pause(quietMs / 5);
  }
}

interface Hold {
  held: boolean;
  readonly end: () => void;
}

/** Long work outlasts the lock: it is renewed from time to time. */
function keepLocked(ctx: CallContext, backlog: Backlog): Hold {
  const renew = async () => {
    // One that can't be asked for is kept for as long as it lasts.
    if (!(await backlog.lock(ctx).catch(() => true))) hold.held = false;
  };
  const renewing = setInterval(() => void renew(), renewLockMs);
  const hold: Hold = {
    held: true,
    end: () => {
      clearInterval(renewing);
    },
  };
  return hold;
}

function pauseMs(waiting: number, workMs: number): number {
  if (waiting < fewEntries) return unhurriedMs;
  return waiting < veryManyEntries ? workMs * pausePerWork : 0;
}
