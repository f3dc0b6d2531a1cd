/** Durations of one kind of call, in milliseconds, and how many ended per second. */
export interface Measured {
  readonly samplesMs: readonly number[];
  readonly perSecond: number;
}

/** Runs `count` calls, `inFlight` at a time; a call that fails ends the run. */
export async function measure(
  count: number,
  inFlight: number,
  work: (i: number) => Promise<unknown>,
): Promise<Measured> {
  const samplesMs: number[] = [];
  let next = 0;
  const startMs = performance.now();
  const worker = async () => {
    while (next < count) {
      const i = next++;
      const beginMs = performance.now();
      await work(i);
      samplesMs.push(performance.now() - beginMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { samplesMs, perSecond: (count * 1000) / (performance.now() - startMs) };
}

/** Several runs of the same thing as one: all samples, and the median of the rates. */
export function merge(runs: readonly Measured[]): Measured {
  return {
    samplesMs: runs.flatMap((run) => run.samplesMs),
    perSecond: percentile(
      runs.map((run) => run.perSecond),
      50,
    ),
  };
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN;
}

export function p50(measured: Measured): number {
  return percentile(measured.samplesMs, 50);
}
