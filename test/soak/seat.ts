import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestCluster } from '../harness/cluster.js';
import { clusterYaml, type Driver, startDriver } from '../harness/driver.js';
import type { Ground } from '../ground/ground.js';
import type { Random } from '../ground/random.js';
import { Rpc } from '../integration/rpc.js';

/** The driver, whichever process it is at the moment. */
export class Seat {
  readonly #options: Parameters<typeof startDriver>[0];
  #current: Promise<Driver>;
  kills = 0;

  private constructor(options: Parameters<typeof startDriver>[0]) {
    this.#options = options;
    this.#current = startDriver(options);
    this.#current.catch(() => undefined);
  }

  static async open(cluster: TestCluster, grounds: readonly Ground[], directory: string): Promise<Seat> {
    const config = clusterYaml(cluster, grounds.map((ground) => ground.config).join(''));
    const seat = new Seat({ directory: join(directory, 'driver'), config });
    await seat.#current;
    return seat;
  }

  /** RPCs to the driver as it is now; while there is none, it is waited for. */
  async rpc(deadlineMs: number): Promise<Rpc> {
    const driver = await this.#current;
    return new Rpc(() => driver, deadlineMs);
  }

  async kill(): Promise<void> {
    const killed = (await this.#current).stop('SIGKILL');
    this.#current = killed.then(async () => startDriver(this.#options));
    this.#current.catch(() => undefined);
    await killed;
    this.kills += 1;
    await this.#current;
  }

  async stop(): Promise<void> {
    await (await this.#current).stop();
  }
}

/** Kills the driver so many times, until it is told to stop. */
export async function killNowAndThen(seat: Seat, random: Random, kills: number, stop: AbortSignal): Promise<void> {
  const [shortestMs, longestMs] = [150, 4_000];
  while (seat.kills < kills) {
    const waited = sleep(random.logarithmic(shortestMs, longestMs), true, { signal: stop });
    if (!(await waited.catch(() => false))) return;
    await seat.kill();
  }
}
