import type { Row } from '../../scripts/testing/results.js';
import { cephfs } from './scenarios/cephfs.js';
import { faults } from './scenarios/faults.js';
import { rbd } from './scenarios/rbd.js';
import type { Scenario, ScenarioContext } from './scenarios/scenario.js';

/** In this order: each list ends by deleting what it has made. */
export const lists = { rbd, cephfs, faults } satisfies Record<string, readonly Scenario[]>;
export type ListName = keyof typeof lists;

/** One after the other, one row for each. */
export async function runScenarios(names: readonly ListName[], context: ScenarioContext): Promise<Row[]> {
  const rows: Row[] = [];
  for (const scenario of names.flatMap((name): readonly Scenario[] => lists[name])) {
    if (context.signal.aborted) break;
    rows.push(await runScenario(scenario, context));
  }
  return rows;
}

async function runScenario({ title, run }: Scenario, context: ScenarioContext): Promise<Row> {
  const began = performance.now();
  const row = (failed: number): Row => {
    const seconds = (performance.now() - began) / 1_000;
    console.log(`  ${failed === 0 ? 'ok    ' : 'FAILED'} ${title} (${seconds.toFixed(1)} s)`);
    return { stage: title, passed: 1 - failed, failed, skipped: 0, seconds };
  };
  try {
    await run(context);
    return row(0);
  } catch (error) {
    const result = row(1);
    console.log(reasonOf(error).replaceAll(/^/gm, '         '));
    return result;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}\nbecause: ${reasonOf(error.cause)}`;
}
