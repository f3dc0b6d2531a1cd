import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type TestCluster, useCluster } from '../harness/cluster.js';
import { clusterYaml, type Driver, type DriverOptions, startDriver } from '../harness/driver.js';
import { findLeftovers, type Leftover, mountEntry } from './leftovers.js';
import { Rpc } from './rpc.js';
import { VolumeLife } from './volume-life.js';

export interface SiteOptions extends Partial<Omit<DriverOptions, 'directory'>> {
  /** For tests that stop a cluster's daemons: one of their own, which is stopped with the site. */
  readonly cluster?: TestCluster;
  /** The configuration, when the cluster alone is not all of it. */
  readonly configFor?: (cluster: TestCluster, pool: string) => string;
  /** Whether the directory is a mount that other mount namespaces share, as kubelet's is. */
  readonly isShared?: boolean;
}

/** A cluster, a pool of one's own in it, and a driver, all of them gone when the tests of the file have ended. */
export class Site {
  readonly cluster: TestCluster;
  /** Nothing else uses this pool. */
  readonly pool: string;
  readonly directory: string;
  readonly #options: Omit<DriverOptions, 'directory'>;
  #driver: Driver | undefined;
  #paths = 0;

  private constructor(
    cluster: TestCluster,
    pool: string,
    directory: string,
    options: Omit<DriverOptions, 'directory'>,
  ) {
    this.cluster = cluster;
    this.pool = pool;
    this.directory = directory;
    this.#options = options;
  }

  static async open(t: Test, options: SiteOptions = {}): Promise<Site> {
    const cluster = options.cluster ?? (await useCluster());
    const pool = `it-${randomBytes(4).toString('hex')}`;
    const directory = await mkdtemp(join(tmpdir(), 'cuttle-it-'));
    const config = options.configFor?.(cluster, pool) ?? clusterYaml(cluster);
    const site = new Site(cluster, pool, directory, { ...options, config });
    t.teardown(async () => site.#close());
    if (options.isShared === true) {
      execFileSync('mount', ['--bind', directory, directory]);
      execFileSync('mount', ['--make-shared', directory]);
    }
    await cluster.createPool(pool);
    site.#driver = await startDriver({ ...site.#options, directory });
    return site;
  }

  get driver(): Driver {
    if (this.#driver === undefined) throw new Error('no driver is running');
    return this.#driver;
  }

  /** RPCs to whichever driver runs when they are made. */
  get rpc(): Rpc {
    return new Rpc(() => this.driver);
  }

  /** RPCs that are undone when the test ends, however it ends. */
  life(t: Test, driver: () => Driver = () => this.driver, deadlineMs?: number): VolumeLife {
    const life = new VolumeLife(this, driver, deadlineMs);
    t.teardown(async () => life.end());
    return life;
  }

  /** Ends the driver and starts it anew on the same socket. */
  async restart(signal: NodeJS.Signals, between: () => Promise<void> = async () => Promise.resolve()): Promise<void> {
    await this.driver.stop(signal);
    await between();
    this.#driver = await startDriver({ ...this.#options, directory: this.directory });
  }

  /** A path that nothing has used; only its parent is there. */
  path(name: string): string {
    this.#paths += 1;
    return join(this.directory, `${name}-${this.#paths}`);
  }

  /** Lines of the driver's log that say this. */
  async logged(text: string): Promise<string[]> {
    return (await this.driver.log()).split('\n').filter((line) => line.includes(text));
  }

  async #close(): Promise<void> {
    try {
      await this.#driver?.stop();
      const left = await settledLeftovers(this.directory);
      if (left.length === 0) return;
      const log = await readFile(join(this.directory, 'driver.log'), 'utf8');
      removeLeftovers(left);
      // What is thrown in a teardown fails the file.
      throw new Error(
        `the tests have left ${JSON.stringify(left)} behind; the driver's log ends:\n${log.slice(-4_000)}`,
      );
    } finally {
      if ((await mountEntry(this.directory)) !== undefined) execFileSync('umount', [this.directory]);
      await rm(this.directory, { recursive: true, force: true }).catch(() => undefined);
      await this.cluster.deletePool(this.pool).catch(() => undefined);
      await this.cluster.stop();
    }
  }
}

/** A second driver process on the site's cluster, like another node's. */
export async function secondDriver(t: Test, site: Site, options: Partial<DriverOptions> = {}): Promise<Driver> {
  const driver = await startDriver({ config: clusterYaml(site.cluster), ...options, directory: site.path('second') });
  t.teardown(async () => driver.stop());
  return driver;
}

/** What has just been ended may take a moment to go. */
async function settledLeftovers(directory: string): Promise<Leftover[]> {
  for (let tries = 0; ; tries++) {
    const left = await findLeftovers(directory);
    if (left.length === 0 || tries === 20) return left;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The next file's tests must not suffer from this one's failure. */
function removeLeftovers(left: readonly Leftover[]): void {
  for (const one of [...left].reverse()) {
    try {
      if (one.kind === 'mount') execFileSync('umount', ['--lazy', one.name], { stdio: 'ignore' });
      if (one.kind === 'loop') execFileSync('losetup', ['--detach', one.name], { stdio: 'ignore' });
      if (one.kind === 'process') process.kill(Number(one.name), 'SIGKILL');
    } catch {
      // It has gone by itself.
    }
  }
}

/** Process ids of the daemons that serve images to the driver of this run directory. */
export async function imageDaemons(runDir: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      const isOurs =
        args[0]?.endsWith('qemu-storage-daemon') === true && args.some((arg) => arg.includes(`${runDir}/`));
      return isOurs ? Number(pid) : undefined;
    }),
  );
  return found.filter((pid) => pid !== undefined);
}
