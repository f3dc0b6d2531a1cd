interface Running {
  readonly stop: AbortController;
  readonly ended: Promise<unknown>;
}

/** The images that this process is flattening, so that it can let go of one. */
export class RunningFlattens {
  readonly #running = new Map<string, Running>();

  async track<T>(imageId: string, stop: AbortController, work: () => Promise<T>): Promise<T> {
    const result = work();
    this.#running.set(imageId, { stop, ended: result.catch(() => undefined) });
    try {
      return await result;
    } finally {
      this.#running.delete(imageId);
    }
  }

  /** Resolves when the image is closed; at once when it was not being flattened here. */
  async stop(imageId: string): Promise<void> {
    const running = this.#running.get(imageId);
    running?.stop.abort();
    await running?.ended;
  }
}
