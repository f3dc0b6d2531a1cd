import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readMountInfo } from '../../src/mount-info.js';
import { pathWithinBase } from '../../src/path-within-base.js';
import { realExec } from './real-exec.js';

/** The part of a tap test that is used here. */
interface WithTeardown {
  teardown(handler: () => unknown): void;
}

export interface Workspace {
  dir: string;
  /** Processes to kill before anything is unmounted. */
  pids: number[];
  /** Makes a directory below `dir`. */
  makeDir: (name: string) => Promise<string>;
  /** Makes a sparse file below `dir`. */
  makeImage: (name: string, sizeBytes: number) => Promise<string>;
}

export const MIB = 1024 * 1024;

/** Why tests that mount for real are skipped, or false. */
export const notRoot = process.getuid?.() === 0 ? false : 'mounting for real needs root';

/** A temporary directory; every mount, loop device and process of the test goes with it, also when the test fails. */
export async function workspace(t: WithTeardown): Promise<Workspace> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'mount-utils-test-')));
  const pids: number[] = [];
  t.teardown(() => clear(dir, pids));
  return {
    dir,
    pids,
    makeDir: async (name) => {
      await mkdir(join(dir, name), { recursive: true });
      return join(dir, name);
    },
    makeImage: async (name, sizeBytes) => {
      const file = await open(join(dir, name), 'wx');
      await file.truncate(sizeBytes);
      await file.close();
      return join(dir, name);
    },
  };
}

async function clear(dir: string, pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  // Before unmounting: a lazily unmounted file loses its name. A loop in use goes when it is unmounted.
  for (const name of await readdir('/sys/block')) {
    const file = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '');
    if (pathWithinBase(file.trim(), dir) && file !== '') await realExec('losetup', ['--detach', `/dev/${name}`]);
  }
  const below = async () => (await readMountInfo()).filter((entry) => pathWithinBase(entry.mountPoint, dir));
  for (let left = await below(), tries = 0; left.length > 0 && tries < 100; left = await below(), tries++) {
    const last = left.at(-1);
    if (last !== undefined) await realExec('umount', ['--lazy', '--no-canonicalize', '--', last.mountPoint]);
  }
  const left = await below();
  if (left.length > 0) throw new Error(`still mounted: ${left.map((entry) => entry.mountPoint).join(', ')}`);
  await rm(dir, { recursive: true, force: true });
}

/** The checksum of a file's or device's bytes. */
export async function checksum(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
