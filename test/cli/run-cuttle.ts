import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { type Driver, type DriverOptions, removeDirectory, startDriver } from '../harness/driver.js';
import { repositoryRoot } from '../house/read-sources.js';

export const nobodyThere =
  'clusters: [{ id: a, monitors: "127.0.0.1:1", timeouts: { connectSeconds: 1, monSeconds: 1, osdSeconds: 1 } }]';

/** Runs the program to its end. */
export async function runCuttle(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [join(repositoryRoot(), 'bin/cuttle.cjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
    timeout: 30_000,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { exitCode, stdout, stderr };
}

/** A directory with a path short enough for sockets, removed when the test ends. */
export async function shortDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cc-'));
  t.teardown(async () => removeDirectory(directory));
  return directory;
}

/** A driver without any cluster, stopped when the test ends. */
export async function lonelyDriver(t: Test, options: Partial<DriverOptions> = {}): Promise<Driver> {
  const directory = options.directory ?? (await shortDirectory(t));
  const driver = await startDriver({ config: nobodyThere, ...options, directory });
  t.teardown(async () => {
    await driver.stop();
  });
  return driver;
}

/** Waits until the condition holds. @throws when it has not after ten seconds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await condition()) return;
    await sleep(20);
  }
  throw new Error(`after 10 s still not: ${what}`);
}
