import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTap, type TapCounts } from './read-tap.js';
import { RESULTS_DIR, type Row } from './results.js';
import { runProgram, type ProgramEnd } from './run-program.js';
import type { TestFile } from './test-files.js';

export interface TestRun {
  readonly jobs: number;
  readonly fileTimeoutMs: number;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

const STDERR_LINES = 30;

/** Runs test files, at most `jobs` at once, with one line on screen for each; what fails is shown in full. */
export async function runTestFiles(stage: string, files: readonly TestFile[], run: TestRun): Promise<Row> {
  const began = performance.now();
  const row = { stage, passed: 0, failed: 0, skipped: 0, seconds: 0, skips: [] as string[] };
  const waiting = [...files];
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined && !run.signal.aborted; file = waiting.shift()) {
      const counts = await runTestFile(file, run);
      row.passed += counts.passed;
      row.failed += counts.failed;
      row.skipped += counts.skipped.length;
      row.skips.push(...counts.skipped.map((skip) => `${file.source}: ${skip.title}: ${skip.reason}`));
    }
  };
  await Promise.all(Array.from({ length: run.jobs }, work));
  // Files that an interruption kept from running have not passed.
  row.failed += waiting.length;
  return { ...row, seconds: (performance.now() - began) / 1000 };
}

/** A tap test file is a plain program: its output is TAP, its exit code says whether all is well. */
async function runTestFile(file: TestFile, run: TestRun): Promise<TapCounts> {
  const end = await runProgram(process.execPath, ['--enable-source-maps', file.compiled], {
    // tap stops a test after 30 s unless told otherwise; the file's own time limit is what counts here.
    env: { ...run.env, TAP_TIMEOUT: String(run.fileTimeoutMs / 1000) },
    signal: run.signal,
    timeoutMs: run.fileTimeoutMs,
    output: 'return',
  });
  const counts = await readTap(end.stdout);
  const cases = counts.passed + counts.failed + counts.skipped.length;
  if (end.failure !== undefined && counts.failed === 0) {
    counts.failed = 1;
    counts.failures.push({ title: end.failure, detail: '' });
  } else if (cases === 0) {
    counts.failed = 1;
    counts.failures.push({ title: 'the file ran no test', detail: '' });
  }
  await keepOutput(file, end.stdout, end.stderr);
  say(file, counts, end);
  return counts;
}

async function keepOutput(file: TestFile, stdout: string, stderr: string): Promise<void> {
  const dir = join(RESULTS_DIR, 'output');
  await mkdir(dir, { recursive: true });
  const name = file.source.replace(/\.test\.ts$/, '').replaceAll('/', '-');
  await writeFile(join(dir, `${name}.tap`), stdout);
  if (stderr !== '') await writeFile(join(dir, `${name}.stderr`), stderr);
}

function say(file: TestFile, counts: TapCounts, end: ProgramEnd): void {
  const facts = [
    `${counts.passed} passed`,
    ...(counts.failed > 0 ? [`${counts.failed} failed`] : []),
    ...(counts.skipped.length > 0 ? [`${counts.skipped.length} skipped`] : []),
    ...(end.failure === undefined ? [] : [end.failure]),
  ];
  const word = counts.failed > 0 ? 'FAILED' : 'ok    ';
  console.log(`  ${word} ${file.source} (${facts.join(', ')}; ${end.seconds.toFixed(1)} s)`);
  if (counts.failed === 0) return;
  for (const { title, detail } of counts.failures) console.log(indent(`${title}\n${indent(detail, 4)}`, 9));
  const tail = end.stderr.trim().split('\n').slice(-STDERR_LINES).join('\n');
  if (tail !== '') console.log(indent(`its standard error ended with:\n${indent(tail, 4)}`, 9));
}

function indent(text: string, by: number): string {
  return text.trimEnd().replaceAll(/^(?=.)/gm, ' '.repeat(by));
}
