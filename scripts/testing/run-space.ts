import { mkdtemp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { clusterScript } from '../../test/harness/cluster.js';
import { findLeftovers, removeLeftovers, type Leftover } from './leftovers.js';
import { RESULTS_DIR } from './results.js';
import { runProgram } from './run-program.js';

const MARK = 'CUTTLE_TEST_RUN';
const SETTLE_MS = 5_000;

/** Everything of one run is below one directory, and all its processes carry that directory in their environment. */
export class RunSpace {
  readonly dir: string;
  readonly #signal: AbortSignal;
  #cephConf: string | undefined = process.env.CUTTLE_TEST_CEPH_CONF;
  #ownCluster: string | undefined;

  private constructor(dir: string, signal: AbortSignal) {
    this.dir = dir;
    this.#signal = signal;
  }

  /** The path is short, because a unix socket's has at most 107 bytes. */
  static async open(signal: AbortSignal): Promise<RunSpace> {
    return new RunSpace(await mkdtemp('/tmp/cuttle-'), signal);
  }

  /**
   * The environment for what is run here.
   * @param cluster what it uses: the one started here, if there is one, or what it starts itself unless the caller has named one.
   */
  env(extra: NodeJS.ProcessEnv = {}, cluster: 'shared' | 'own' = 'shared'): NodeJS.ProcessEnv {
    const conf = this.#cephConf === undefined || cluster === 'own' ? {} : { CUTTLE_TEST_CEPH_CONF: this.#cephConf };
    // Tests that call Ceph's libraries themselves need the driver's thread pool (bin/cuttle.cjs), not Node's four threads.
    return { ...process.env, ...conf, UV_THREADPOOL_SIZE: '96', TMPDIR: this.dir, [MARK]: this.dir, ...extra };
  }

  /** Starts a cluster, unless the caller has named one. Says why in words when it does not start. */
  async startCluster(): Promise<string | undefined> {
    if (this.#cephConf !== undefined && this.#cephConf !== '') {
      console.log(`the tests use the cluster of ${this.#cephConf}`);
      return undefined;
    }
    this.#ownCluster = `${this.dir}/ceph`;
    const end = await runProgram(clusterScript(), ['start', '--dir', this.#ownCluster, '--quick-mon'], {
      env: this.env(),
      signal: this.#signal,
      output: 'return',
    });
    if (end.failure !== undefined) return `the Ceph cluster did not start: ${end.failure}\n${end.stderr}`;
    this.#cephConf = end.stdout.trim().split('\n').at(-1) ?? '';
    console.log(`a one-node Ceph runs in ${this.#ownCluster} (${end.seconds.toFixed(1)} s)`);
    return undefined;
  }

  /** Stops the cluster, says what the run has left on the machine, and removes that too; files can be kept for reading. */
  async close(keepFiles: boolean): Promise<Leftover[]> {
    const found: Leftover[] = [];
    if (this.#ownCluster !== undefined) {
      const stop = await execa(clusterScript(), ['stop', '--dir', this.#ownCluster], {
        reject: false,
        detached: true, // Ctrl-C must not cut it short
      });
      if (stop.failed) found.push({ kind: 'cluster', text: `the Ceph cluster could not be stopped: ${stop.stderr}` });
    }
    found.push(...(await this.#settledLeftovers()));
    await removeLeftovers(this.dir, MARK);
    await this.#removeFiles(keepFiles);
    return found;
  }

  /** The run's directory goes; logs that a failed test left in it are moved to where the results are. */
  async #removeFiles(keep: boolean): Promise<void> {
    const files = await readdir(this.dir).catch(() => []);
    if (files.length > 0 && keep) {
      const kept = join(RESULTS_DIR, 'files');
      await execa('cp', ['-a', '-x', '--', this.dir, kept], { reject: false });
      console.log(`\nfiles that the run has left are in ${kept}: ${files.join(', ')}`);
    }
    await execa('rm', ['-rf', '--one-file-system', '--', this.dir], { reject: false });
  }

  /** What has just been asked to end gets a moment to do so. */
  async #settledLeftovers(): Promise<Leftover[]> {
    const until = performance.now() + SETTLE_MS;
    for (;;) {
      const found = await findLeftovers(this.dir, MARK);
      if (found.length === 0 || performance.now() > until) return found;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
