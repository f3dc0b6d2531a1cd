import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

export const RESULTS_DIR = join('.cache', 'results');

const rowSchema = z.object({
  stage: z.string(),
  passed: z.number().int().nonnegative(),
  failed: z.number().int().nonnegative(),
  skipped: z.number().int().nonnegative(),
  seconds: z.number().nonnegative(),
  /** Why each was skipped, in words: one entry for each. */
  skips: z.array(z.string()).optional(),
});

/** One line of the table at the end. */
export type Row = z.infer<typeof rowSchema>;

export async function emptyResults(): Promise<void> {
  await rm(RESULTS_DIR, { recursive: true, force: true });
  await mkdir(RESULTS_DIR, { recursive: true });
}

/** The rows that a stage's program has written; an Error in words when it has not, or not what was agreed. */
export async function readRows(name: string): Promise<Row[] | Error> {
  const path = join(RESULTS_DIR, `${name}.json`);
  try {
    const rows = z.array(rowSchema).safeParse(JSON.parse(await readFile(path, 'utf8')));
    return rows.success ? rows.data : new Error(`${path} is not a list of rows: ${z.prettifyError(rows.error)}`);
  } catch (error) {
    return new Error(`${path} was not written or is no JSON: ${String(error)}`);
  }
}

export async function writeRows(name: string, rows: readonly Row[]): Promise<void> {
  await mkdir(RESULTS_DIR, { recursive: true });
  await writeFile(join(RESULTS_DIR, `${name}.json`), `${JSON.stringify(rows, null, 2)}\n`);
}

export function total(rows: readonly Row[]): { passed: number; failed: number; skipped: number } {
  const sum = (of: (row: Row) => number): number => rows.reduce((so, row) => so + of(row), 0);
  return { passed: sum((row) => row.passed), failed: sum((row) => row.failed), skipped: sum((row) => row.skipped) };
}

/** Skips with their reasons, the table, and the line that ends every run. */
export function summaryOf(rows: readonly Row[]): string {
  const width = Math.max(10, ...rows.map((row) => row.stage.length));
  const line = (cells: readonly string[]): string =>
    [cells[0]?.padEnd(width), ...cells.slice(1).map((cell) => cell.padStart(8))].join(' ');
  const { passed, failed, skipped } = total(rows);
  return [
    ...skipLines(rows),
    '',
    line(['stage', 'passed', 'failed', 'skipped', 'seconds']),
    ...rows.map((row) => line([row.stage, `${row.passed}`, `${row.failed}`, `${row.skipped}`, row.seconds.toFixed(1)])),
    '',
    `tests: ${passed} passed, ${failed} failed, ${skipped} skipped`,
  ].join('\n');
}

function skipLines(rows: readonly Row[]): string[] {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const told = row.skips ?? [];
    const untold = Array.from({ length: row.skipped - told.length }, () => `${row.stage}: without a reason`);
    for (const reason of [...told, ...untold]) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  if (counts.size === 0) return [];
  return ['', 'skipped:', ...[...counts].map(([reason, count]) => `  ${String(count).padStart(4)}  ${reason}`)];
}
