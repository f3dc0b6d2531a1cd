import { trimMemory } from './native/memory.js';

const checkMs = 5_000;
const quietMs = 2_000;
const busyTrimMs = 15_000;

/** Returns memory to the system once a burst of work is over, and every quarter of a minute while there is no end of it. */
export class MemoryKeeper {
  readonly #timer: NodeJS.Timeout;
  readonly #trim: () => Promise<void>;
  #usedMs = 0;
  #trimmedMs = 0;

  constructor(trim: () => Promise<void> = trimMemory) {
    this.#trim = trim;
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
    if (nowMs - this.#usedMs < quietMs && nowMs - this.#trimmedMs < busyTrimMs) return;
    this.#trimmedMs = nowMs;
    void this.#trim();
  }
}
