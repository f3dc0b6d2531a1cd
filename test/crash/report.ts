import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeRows } from '../../scripts/testing/results.js';

/** What a run has found so far. */
export interface Outcome {
  kills: number;
  readonly problems: string[];
  readonly leaks: string[];
  /** How often the driver was killed during which operation. */
  readonly struck: Map<string, number>;
  /** By kind of volume; from the first repetition after a kill to the answer. */
  readonly slowest: Map<string, { readonly operation: string; readonly ms: number }>;
  readonly directory: string;
  readonly seed: number;
}

/** Prints it and writes the row of results. @returns the exit code. */
export async function report(outcome: Outcome, seconds: number): Promise<number> {
  const { kills, problems, leaks, struck, slowest, directory, seed } = outcome;
  for (const problem of problems) console.log(`  FAILED: ${problem}`);
  for (const leak of leaks) console.log(`  LEAKED: ${leak}`);
  const counts = [...struck].sort(([a], [b]) => (a < b ? -1 : 1)).map(([operation, count]) => `${operation} ${count}`);
  console.log(`struck in the middle of: ${counts.join(', ')}`);
  const slow = [...slowest].map(([kind, { operation, ms }]) => `${kind} ${operation} ${(ms / 1000).toFixed(1)} s`);
  console.log(`slowest answers after a kill: ${slow.join(', ')}`);
  console.log(
    `kills: ${kills}, wrong answers: ${problems.length}, leaks: ${leaks.length}, seed ${seed}, ${seconds.toFixed(0)} s`,
  );
  const failed = problems.length + leaks.length;
  const passed = failed === 0 ? kills : Math.max(0, kills - problems.length);
  await writeRows('crash', [{ stage: 'kill -9', passed, failed, skipped: 0, seconds }]);
  if (failed === 0) await rm(directory, { recursive: true, force: true });
  else console.log(`  the driver's log is kept: ${join(directory, 'driver', 'driver.log')}`);
  return failed === 0 ? 0 : 1;
}
