interface Step {
  readonly title: string;
  readonly ms: number;
  readonly note: string;
}

/** The demo's steps: a line on screen as each ends, and the table of them all. */
export class DemoSteps {
  readonly #signal: AbortSignal;
  readonly #steps: Step[] = [];
  readonly #startMs = performance.now();
  #failure: string | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Why the demo failed; undefined while it hasn't. */
  get failure(): string | undefined {
    return this.#failure;
  }

  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error.message : String(error);
  }

  /**
   * Runs one step. After Ctrl-C only steps marked `always` (they clean up) are run.
   * @param note what to say of the result, in a few words
   */
  async run<T>(title: string, work: () => Promise<T>, note?: (result: T) => string, when?: 'always'): Promise<T> {
    if (when !== 'always') this.#signal.throwIfAborted();
    process.stdout.write(`${title} ... `);
    const beginMs = performance.now();
    try {
      const result = await work();
      const step = { title, ms: performance.now() - beginMs, note: note?.(result) ?? '' };
      this.#steps.push(step);
      process.stdout.write(`${duration(step.ms)}${step.note === '' ? '' : `  (${step.note})`}\n`);
      return result;
    } catch (error) {
      process.stdout.write('failed\n');
      this.#steps.push({ title, ms: performance.now() - beginMs, note: 'FAILED' });
      this.fail(error);
      throw error;
    }
  }

  table(): string {
    const width = Math.max(...this.#steps.map((step) => step.title.length), 'step'.length);
    const rows = this.#steps.map((step) =>
      `${step.title.padEnd(width)}  ${duration(step.ms).padStart(9)}  ${step.note}`.trimEnd(),
    );
    const total = `${'total'.padEnd(width)}  ${duration(performance.now() - this.#startMs).padStart(9)}`;
    return [`${'step'.padEnd(width)}  ${'time'.padStart(9)}`, `${'-'.repeat(width)}  ---------`, ...rows, total].join(
      '\n',
    );
  }
}

function duration(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
