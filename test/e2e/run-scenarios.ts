import type { Row } from '../../scripts/testing/results.js';
import { cephfs } from './scenarios/cephfs.js';
import { end } from './scenarios/end.js';
import { faults } from './scenarios/faults.js';
import { manifests } from './scenarios/manifests.js';
import { rbd } from './scenarios/rbd.js';
import type { Scenario } from './scenarios/scenario.js';

/** In this order: each list ends by deleting what it has made. `manifests` is for before the installation. */
export const lists = { manifests, rbd, cephfs, faults, end };
export type ListName = keyof typeof lists;

/** One after the other, one row for each. */
export async function runScenarios<Context>(
  scenarios: readonly Scenario<Context>[],
  context: Context,
  signal: AbortSignal,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const scenario of scenarios) {
    if (signal.aborted) break;
    rows.push(await runScenario(scenario, context));
  }
  return rows;
}

async function runScenario<Context>({ title, run }: Scenario<Context>, context: Context): Promise<Row> {
  const began = performance.now();
  const row = (failed: number, measured?: string): Row => {
    const seconds = (performance.now() - began) / 1_000;
    const stage = measured === undefined ? title : `${title}: ${measured}`;
    console.log(`  ${failed === 0 ? 'ok    ' : 'FAILED'} ${stage} (${seconds.toFixed(1)} s)`);
    return { stage, passed: 1 - failed, failed, skipped: 0, seconds };
  };
  try {
    const measured = await run(context);
    return row(0, typeof measured === 'string' ? measured : undefined);
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
