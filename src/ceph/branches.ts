import { settled } from './settled.js';

/** Goes down a tree in so many branches at the same time as there may be calls: what is in memory is bounded by it. */
export class Branches {
  #more: number;

  constructor(concurrency: number) {
    this.#more = concurrency - 1;
  }

  /** Each of these directories in a branch of its own while there may be more, else in this one. Ends when all have ended. */
  async goDown(directories: readonly (() => Promise<void>)[]): Promise<void> {
    const branches: Promise<void>[] = [];
    try {
      for (const work of directories) {
        if (this.#more === 0) {
          await work();
          continue;
        }
        this.#more -= 1;
        const branch = work().finally(() => {
          this.#more += 1;
        });
        branch.catch(() => undefined); // it is asked for its outcome below, when the others have been begun
        branches.push(branch);
      }
    } finally {
      await Promise.allSettled(branches);
    }
    await settled(branches);
  }
}
