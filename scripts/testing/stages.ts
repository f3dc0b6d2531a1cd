import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { readRows, writeRows, type Row } from './results.js';
import { runProgram } from './run-program.js';
import type { RunSpace } from './run-space.js';
import { runTestFiles } from './run-test-files.js';
import { findTestFiles, type TestFile } from './test-files.js';

export interface StageContext {
  /** Beside others: what a program prints is shown when it has ended. */
  readonly beside?: boolean;
  readonly space: RunSpace;
  readonly signal: AbortSignal;
  /** What a program needs in its environment to have its coverage counted. */
  readonly coverage: NodeJS.ProcessEnv;
  add(...rows: Row[]): void;
}

const CLUSTER_JOBS = positiveInteger('CUTTLE_TEST_JOBS', 4);
const FILE_TIMEOUT_MS = positiveInteger('CUTTLE_TEST_FILE_SECONDS', 300) * 1000;

export function heading(text: string): void {
  console.log(`\n== ${text}`);
}

/** The beginning of a stage. @throws when the run has been interrupted. */
function begin(stage: string, context: StageContext): void {
  context.signal.throwIfAborted();
  heading(stage);
}

/** A row for what went wrong outside of any test. */
export function failure(stage: string, seconds = 0): Row {
  return { stage, passed: 0, failed: 1, skipped: 0, seconds };
}

/** ESLint with types, and prettier. Not counted as tests; counted when it fails. */
export async function lint(context: StageContext): Promise<Row> {
  begin('lint', context);
  const { env, signal } = { env: context.space.env(), signal: context.signal };
  const end = await runProgram('npm', ['run', '--silent', 'lint'], { env, signal, output: 'screen' });
  console.log(end.failure === undefined ? '  ok' : `  FAILED: ${end.failure}; \`npm run format\` repairs the layout`);
  return { stage: 'lint', passed: 0, failed: end.failure === undefined ? 0 : 1, skipped: 0, seconds: end.seconds };
}

export async function testsWithoutCluster(context: StageContext): Promise<Row> {
  const files = (await findTestFiles()).filter((file) => !file.needsCluster && !file.ofDeploy);
  return await tests('tests without Ceph', files, availableParallelism(), context);
}

/** Few at once: the cluster has one OSD, and mounts and loop devices belong to the whole machine. */
export async function testsOnCluster(context: StageContext): Promise<Row> {
  const files = (await findTestFiles()).filter((file) => file.needsCluster);
  return await tests('tests on Ceph', files, CLUSTER_JOBS, context);
}

async function tests(stage: string, files: TestFile[], jobs: number, context: StageContext): Promise<Row> {
  begin(`${stage} (${files.length} files, ${jobs} at once)`, context);
  const env = context.space.env(context.coverage);
  const row = await runTestFiles(stage, files, { jobs, fileTimeoutMs: FILE_TIMEOUT_MS, env, signal: context.signal });
  await writeRows(stage.replaceAll(' ', '-').toLowerCase(), [row]);
  return row;
}

/** The chart, the manifests made of it, and what Kubernetes says of them. @param args `--write`: makes the manifests first. */
export async function deploy(context: StageContext, args: string[]): Promise<Row> {
  if (args.includes('--write')) {
    const made = await program('manifests', 'dist/test/deploy/write-manifests.js', [], context);
    if (made.failed > 0) return made;
  }
  return await tests(
    'deploy',
    (await findTestFiles()).filter((file) => file.ofDeploy),
    2,
    context,
  );
}

/** Without coverage: the driver runs in containers. */
export async function image(context: StageContext, args: string[]): Promise<Row[]> {
  return await programWithRows('image', 'dist/test/image/run-image.js', args, { ...context, coverage: {} });
}

export async function sanity(context: StageContext, args: string[]): Promise<Row[]> {
  return await programWithRows('sanity', 'dist/test/sanity/run-sanity.js', args, context);
}

/** Without coverage: what is killed writes none, and the writing would change the instants. */
export async function crash(context: StageContext, args: string[]): Promise<Row[]> {
  return await programWithRows('crash', 'dist/test/crash/run-crash.js', args, { ...context, coverage: {} });
}

export async function kernel(context: StageContext, args: string[]): Promise<Row[]> {
  return await programWithRows('kernel', 'dist/test/kernel/run-kernel.js', args, { ...context, coverage: {} });
}

export async function e2e(context: StageContext, args: string[]): Promise<Row[]> {
  return await programWithRows('e2e', 'dist/test/e2e/run-e2e.js', args, { ...context, coverage: {} });
}

/** Without coverage too: its driver is killed as well. */
export async function soak(context: StageContext, args: string[]): Promise<Row[]> {
  return await programWithRows('soak', 'dist/test/soak/run-soak.js', args, { ...context, coverage: {} });
}

export async function bench(context: StageContext, args: string[]): Promise<Row> {
  return await program('bench', 'dist/bench/run-bench.js', args, context);
}

/** Returns false, after adding a failed row, when there is no cluster to test on. */
export async function startCluster(context: StageContext): Promise<boolean> {
  begin('Ceph', context);
  const problem = await context.space.startCluster();
  if (problem === undefined) return true;
  console.log(problem);
  context.add(failure('Ceph'));
  return false;
}

/** A program that writes its rows to .cache/results/STAGE.json. Its exit code and its rows must agree. */
async function programWithRows(stage: string, path: string, args: string[], context: StageContext): Promise<Row[]> {
  const end = await program(stage, path, args, context);
  if (!existsSync(path)) return [end];
  const rows = await readRows(stage);
  if (rows instanceof Error) {
    console.log(`  FAILED: ${rows.message}`);
    return [{ ...end, failed: 1 }];
  }
  const known = rows.some((row) => row.failed > 0);
  const empty = rows.every((row) => row.passed + row.failed + row.skipped === 0);
  if (empty) console.log(`  FAILED: ${stage} ran no test`);
  return empty || (end.failed > 0 && !known) ? [...rows, failure(`${stage}: its program`, end.seconds)] : rows;
}

async function program(stage: string, path: string, args: string[], context: StageContext): Promise<Row> {
  const beside = context.beside === true;
  if (beside) context.signal.throwIfAborted();
  else begin(stage, context);
  if (!existsSync(path)) {
    console.log(`  FAILED: the stage is missing: there is no ${path}`);
    return failure(`${stage} (missing)`);
  }
  // Counts of what a cluster holds, killed drivers, stopped daemons: each on a cluster of its own.
  const env = context.space.env(context.coverage, 'own');
  const argv = ['--enable-source-maps', path, ...args];
  const output = beside ? 'return' : 'screen';
  const end = await runProgram(process.execPath, argv, { env, signal: context.signal, output });
  if (beside) heading(`${stage}\n${end.stdout.trimEnd()}${end.stderr === '' ? '' : `\n${end.stderr.trimEnd()}`}`);
  if (end.failure !== undefined) console.log(`  FAILED: ${path}: ${end.failure}`);
  return { stage, passed: 0, failed: end.failure === undefined ? 0 : 1, skipped: 0, seconds: end.seconds };
}

function positiveInteger(variable: string, fallback: number): number {
  const text = process.env[variable] ?? '';
  if (text === '') return fallback;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new Error(`${variable} wants a whole number from 1 on, not '${text}'`);
  return Number(text);
}
