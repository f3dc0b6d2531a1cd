import { performance } from 'node:perf_hooks';
import { beginCoverage, printCoverage } from './coverage.js';
import { watchInterruption } from './interruption.js';
import { emptyResults, summaryOf, total, type Row } from './results.js';
import { RunSpace } from './run-space.js';
import * as stages from './stages.js';

type Mode = 'test' | 'unit' | 'sanity' | 'crash' | 'soak' | 'kernel' | 'e2e' | 'deploy' | 'image' | 'bench';

const [mode, ...extra] = process.argv.slice(2) as [Mode, ...string[]];
const interruption = watchInterruption();
process.exitCode = await main();

async function main(): Promise<number> {
  await emptyResults();
  const space = await RunSpace.open(interruption.signal);
  const rows: Row[] = [];
  try {
    await runMode({ space, signal: interruption.signal, coverage: {}, add: (...more) => rows.push(...more) });
  } catch (error) {
    if (!interruption.signal.aborted) console.error(error);
    rows.push(stages.failure('the run itself'));
  } finally {
    rows.push(await checkMachine(space, total(rows).failed > 0 && !interruption.signal.aborted));
  }
  const { passed, failed } = total(rows);
  if (mode !== 'bench') console.log(summaryOf(rows));
  const nothingRan = passed === 0 && mode !== 'bench';
  return interruption.exitCode() ?? (failed > 0 || nothingRan ? 1 : 0);
}

async function runMode(context: stages.StageContext): Promise<void> {
  switch (mode) {
    case 'test':
      await runEverything(context);
      return;
    case 'unit':
      context.add(await stages.lint(context), await stages.testsWithoutCluster(context));
      return;
    case 'sanity':
      context.add(...(await stages.sanity(context, extra)));
      return;
    case 'crash':
      context.add(...(await stages.crash(context, extra.includes('--kills') ? extra : ['--kills', '200', ...extra])));
      return;
    case 'kernel':
      context.add(...(await stages.kernel(context, extra)));
      return;
    case 'e2e':
      context.add(...(await stages.e2e(context, extra)));
      return;
    case 'soak':
      context.add(...(await stages.soak(context, extra)));
      return;
    case 'deploy':
      context.add(await stages.deploy(context, extra));
      return;
    case 'image':
      context.add(...(await stages.image(context, extra)));
      return;
    case 'bench':
      context.add(await stages.bench(context, extra));
      return;
  }
}

async function runEverything(plain: stages.StageContext): Promise<void> {
  const context = { ...plain, coverage: await beginCoverage() };
  context.add(await stages.lint(context), await stages.testsWithoutCluster(context));
  context.add(await stages.deploy(context, []));
  if (await stages.startCluster(context)) context.add(await stages.testsOnCluster(context));
  // They wait for Ceph more than they work.
  const beside = { ...context, beside: true };
  const programs = [
    stages.sanity(beside, []),
    stages.crash(beside, ['--kills', '20']),
    stages.soak(beside, ['--objects', '60', '--kills', '0', '--operations', '0']),
  ];
  for (const rows of await Promise.all(programs)) context.add(...rows);
  context.signal.throwIfAborted();
  stages.heading('coverage');
  const problem = await printCoverage(context.signal);
  if (problem === undefined) return;
  console.log(`the coverage could not be reported: ${problem}`);
  context.add(stages.failure('coverage'));
}

/** The last stage: nothing of the run may be left on the machine. */
async function checkMachine(space: RunSpace, keepFiles: boolean): Promise<Row> {
  const began = performance.now();
  const leftovers = await space.close(keepFiles);
  if (leftovers.length > 0) {
    stages.heading('left behind by this run, and removed now');
    for (const { text } of leftovers) console.log(`  ${text}`);
  }
  const seconds = (performance.now() - began) / 1000;
  return { stage: 'machine left clean', passed: 0, failed: leftovers.length, skipped: 0, seconds };
}
