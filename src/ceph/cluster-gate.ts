import pLimit from 'p-limit';

/** A cluster that doesn't answer may block this many threads, not all of its share. */
const suspectConcurrency = 2;
/** Removals and flattenings, which take hours for large images: beside the others, so that they never fill what a suspect cluster may block. */
const backgroundConcurrency = 4;

/**
 * How many native calls one cluster may have under way at once, whoever makes them: each occupies a thread of libuv's pool
 * (bin/cuttle.cjs), and a cluster that hangs must leave threads for the others and for the file system.
 */
export class ClusterGate {
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #background = pLimit(backgroundConcurrency);
  readonly #healthyConcurrency: number;
  #lastAnswered: boolean | undefined;

  constructor(healthyConcurrency: number) {
    this.#limit = pLimit(healthyConcurrency);
    this.#healthyConcurrency = healthyConcurrency;
  }

  async enter<T>(job: () => Promise<T>, isBackground = false): Promise<T> {
    return isBackground ? this.#background(job) : this.#limit(job);
  }

  get suspect(): boolean {
    return this.#limit.concurrency < this.#healthyConcurrency;
  }

  /** Whether the last call got an answer in time; undefined before the first. */
  get lastAnswered(): boolean | undefined {
    return this.#lastAnswered;
  }

  answered(): void {
    this.#lastAnswered = true;
    this.#setConcurrency(this.#healthyConcurrency);
  }

  silent(): void {
    this.#lastAnswered = false;
    this.#setConcurrency(suspectConcurrency);
  }

  #setConcurrency(concurrency: number): void {
    // p-limit's setter queues a microtask for each waiting job: not on every call.
    if (this.#limit.concurrency !== concurrency) this.#limit.concurrency = concurrency;
  }
}
