import { collectGarbage, trimMemory } from './native/memory.js';

const checkMs = 5_000;
const quietMs = 2_000;
const busyTrimMs = 15_000;

/** Returns memory to the system once a burst of work is over, and every quarter of a minute while there is no end of it. */
export class MemoryKeeper {
  readonly #timer: NodeJS.Timeout;
  #usedMs = 0;
  #trimmedMs = 0;

  constructor() {
    this.#timer = setInterval(() => {
      this.#check(Date.now());
    }, checkMs);
    this.#timer.unref();
  }

  used(): void {
    this.#usedMs = Date.now();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #check(nowMs: number): void {
    if (this.#usedMs <= this.#trimmedMs) return;
    const quiet = nowMs - this.#usedMs >= quietMs;
    if (!quiet && nowMs - this.#trimmedMs < busyTrimMs) return;
    this.#trimmedMs = nowMs;
    if (quiet) collectGarbage();
    void trimMemory();
  }
}
