import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
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
  const without = ['dist/src/csi/gen/**', ...(await filesOfTypesOnly())].map((path) => `--exclude=${path}`);
  const args = [c8, 'report', `--temp-directory=${RAW}`, ...choice, ...without, ...reports];
  const end = await runProgram(process.execPath, args, { env: process.env, signal, output: 'screen' });
  return end.failure;
}

/** Nothing of such a file is ever run: it would stand in the table with 0 %. */
async function filesOfTypesOnly(): Promise<string[]> {
  const names = (await readdir('dist/src', { recursive: true })).filter((name) => name.endsWith('.js'));
  const paths = names.map((name) => join('dist', 'src', name));
  const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8')));
  return paths.filter((_, index) => /^\s*export \{\};\s*(?:\/\/#.*\s*)?$/.test(texts[index] ?? ''));
}
