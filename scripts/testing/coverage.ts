import { mkdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { runProgram } from './run-program.js';

const DIR = join('.cache', 'coverage');
const RAW = join(DIR, 'raw');

/**
 * Node itself writes what each process has run, when it exits: also the drivers that tests start, because they inherit
 * the variable. Only what is killed by SIGKILL is missing. Returns what to add to the environment.
 */
export async function beginCoverage(): Promise<NodeJS.ProcessEnv> {
  await rm(DIR, { recursive: true, force: true });
  await mkdir(RAW, { recursive: true });
  return { NODE_V8_COVERAGE: resolve(RAW) };
}

/** Prints the table by source file, files that nothing has loaded included. Says in words when that fails. */
export async function printCoverage(signal: AbortSignal): Promise<string | undefined> {
  const c8 = createRequire(import.meta.url).resolve('c8/bin/c8.js');
  const choice = ['--all', '--include=dist/src/**/*.js', '--include=packages/*/dist/src/**/*.js'];
  const reports = ['--reporter=text', '--reporter=json-summary', `--reports-dir=${DIR}`];
  const args = [c8, 'report', `--temp-directory=${RAW}`, '--exclude=dist/src/csi/gen/**', ...choice, ...reports];
  const end = await runProgram(process.execPath, args, { env: process.env, signal, output: 'screen' });
  return end.failure;
}
