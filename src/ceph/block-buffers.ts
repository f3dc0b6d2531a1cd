import pLimit from 'p-limit';

/** A few large buffers that are used again and again, and let go when nobody needs one. */
export class BlockBuffers {
  readonly #bytes: number;
  readonly #limit: ReturnType<typeof pLimit>;
  #free: Buffer[] = [];

  constructor(count: number, bytes: number) {
    this.#bytes = bytes;
    this.#limit = pLimit(count);
  }

  /** Waits until one is free. What is in it is left over from others. */
  async lend<T>(use: (buffer: Buffer) => Promise<T>): Promise<T> {
    return this.#limit(async () => {
      const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
      try {
        return await use(buffer);
      } finally {
        if (this.#limit.pendingCount === 0 && this.#limit.activeCount === 1) this.#free = [];
        else this.#free.push(buffer);
      }
    });
  }
}
