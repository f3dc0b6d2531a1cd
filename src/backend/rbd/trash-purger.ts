import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool } from '../../ceph/client.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { Logger } from '../../platform/logger.js';
import type { ImagePools } from './image-pools.js';
import { deletedKey } from './volume-record.js';

export type PoolPlace = Pick<RbdVolumeId, 'clusterId' | 'pool' | 'namespace'>;

export interface TrashPurgerOptions {
  readonly pools: ImagePools;
  readonly log: Logger;
  /** Images of one pool whose space is freed at the same time. */
  readonly concurrency?: number;
  /** Deletes that come together are purged together. */
  readonly delayMs?: number;
  readonly retryMs?: number;
}

/** So long after the last request the cluster counts as free for purging at full speed. */
const quietMs = 500;
/** Beside requests an image is purged so often, while few wait: freeing space is never urgent, a waiting pod is. */
const unhurriedMs = 1_000;
const fewImages = 200;
/** With more of them waiting, purging takes this share of the time; with very many, all of it. */
const pausePerWork = 3;
const veryManyImages = 2_000;

/** RBD's own index of the trash: it is there when there is something to purge, so no object of ours is left in the pool. */
const lockObject = 'rbd_trash';
const lockName = 'cuttle.purge';
const lockDurationMs = 60_000;

interface Running {
  again: boolean;
  readonly done: Promise<void>;
}

/**
 * Frees the space of images that DeleteVolume has hidden in the trash. One controller at a time per pool, held by a RADOS
 * lock that a crash gives up; only images that carry our mark are touched.
 */
export class TrashPurger {
  readonly #options: Required<TrashPurgerOptions>;
  readonly #running = new Map<string, Running>();
  readonly #seen = new Set<string>();
  readonly #closing = new AbortController();
  readonly #cookie = randomUUID();
  #requests = 0;
  #lastRequestMs = 0;

  constructor(options: TrashPurgerOptions) {
    this.#options = { concurrency: 2, delayMs: 1_000, retryMs: 5_000, ...options };
  }

  /** Something of ours is in this pool's trash. Returns at once. */
  schedule(place: PoolPlace, credentials: Credentials | undefined): void {
    if (this.#closing.signal.aborted) return;
    const key = JSON.stringify([place.clusterId, place.pool, place.namespace]);
    this.#seen.add(key);
    const running = this.#running.get(key);
    if (running !== undefined) {
      running.again = true;
      return;
    }
    const done = this.#run(key, place, credentials).finally(() => {
      this.#running.delete(key);
    });
    this.#running.set(key, { again: false, done });
  }

  /** Runs a request; while there are any, purging steps back. */
  async beside<T>(request: () => Promise<T>): Promise<T> {
    this.#requests += 1;
    try {
      return await request();
    } finally {
      this.#requests -= 1;
      this.#lastRequestMs = Date.now();
    }
  }

  /** The first time this process meets a pool it looks for what an earlier process left. */
  meet(place: PoolPlace, credentials: Credentials | undefined): void {
    if (!this.#seen.has(JSON.stringify([place.clusterId, place.pool, place.namespace])))
      this.schedule(place, credentials);
  }

  /** Waits for the removals that are under way. */
  async close(): Promise<void> {
    this.#closing.abort(new DriverError('CANCELLED', 'the driver is shutting down'));
    await Promise.allSettled([...this.#running.values()].map(async (running) => running.done));
  }

  async #run(key: string, place: PoolPlace, credentials: Credentials | undefined): Promise<void> {
    const ctx: CallContext = { signal: this.#closing.signal, log: this.#options.log, requestId: 'purge' };
    let waitMs = this.#options.delayMs;
    for (;;) {
      if (!(await this.#pause(waitMs))) return;
      const running = this.#running.get(key);
      if (running !== undefined) running.again = false;
      const left = await this.#purge(ctx, place, credentials);
      if (left === 0 && this.#running.get(key)?.again !== true) return;
      waitMs = left === 0 ? this.#options.delayMs : this.#options.retryMs;
    }
  }

  get #quiet(): boolean {
    return this.#requests === 0 && Date.now() - this.#lastRequestMs > quietMs;
  }

  async #pause(ms: number): Promise<boolean> {
    return sleep(ms, true, { signal: this.#closing.signal, ref: false }).catch(() => false);
  }

  /** @returns how many images of ours could not be purged yet. */
  async #purge(ctx: CallContext, place: PoolPlace, credentials: Credentials | undefined): Promise<number> {
    try {
      const { pool } = await this.#options.pools.open(ctx, place, credentials);
      if ((await pool.images.listTrash(ctx)).length === 0) return 0;
      if (!(await pool.lock(ctx, lockObject, lockName, this.#cookie, lockDurationMs))) return 1;
      try {
        return await this.#purgePool(ctx, pool);
      } finally {
        await pool.unlock(ctx, lockObject, lockName, this.#cookie).catch(() => undefined);
      }
    } catch (error) {
      if (ctx.signal.aborted) return 0;
      this.#options.log.warn(
        { err: error, cluster: place.clusterId, pool: place.pool },
        'the trash could not be purged',
      );
      // A pool that is gone or a key that is refused is not going to change by itself.
      return error instanceof DriverError && error.code === 'UNAVAILABLE' ? 1 : 0;
    }
  }

  async #purgePool(ctx: CallContext, pool: CephPool): Promise<number> {
    const entries = (await pool.images.listTrash(ctx)).map((entry) => entry.id);
    let left = 0;
    let purged = 0;
    let renewedMs = Date.now();
    const worker = async (first: boolean) => {
      while (!ctx.signal.aborted && entries.length > 0) {
        // Only the first goes on beside requests.
        if (!first && !this.#quiet) {
          await this.#pause(quietMs / 5);
          continue;
        }
        const startMs = Date.now();
        const outcome = await this.#purgeImage(ctx, pool, entries.pop() ?? '');
        if (outcome === 'left') left += 1;
        if (outcome === 'purged') purged += 1;
        if (Date.now() - renewedMs > lockDurationMs / 3) {
          renewedMs = Date.now();
          await pool.lock(ctx, lockObject, lockName, this.#cookie, lockDurationMs);
        }
        if (!this.#quiet && outcome !== 'not ours') await this.#pause(pauseMs(entries.length, Date.now() - startMs));
      }
    };
    await Promise.all(Array.from({ length: this.#options.concurrency }, async (_, i) => worker(i === 0)));
    if (purged > 0) this.#options.log.info({ pool: pool.name, purged, left }, 'freed the space of deleted volumes');
    return left;
  }

  async #purgeImage(ctx: CallContext, pool: CephPool, id: string): Promise<'purged' | 'left' | 'not ours'> {
    try {
      const header = await pool.images.headerById(ctx, id, [deletedKey]);
      if (!header.metadata.has(deletedKey)) return 'not ours';
      await pool.images.removeFromTrash(ctx, id);
      return 'purged';
    } catch (error) {
      // Another controller was quicker, or an earlier removal was cut off after the header was gone.
      if (isCephError(error, errno.ENOENT)) return this.#finishRemoval(ctx, pool, id);
      // Snapshots or clones hold it, a move to the trash is still going on, or a dead client's watch is.
      if (isCephError(error)) return 'left';
      throw error;
    }
  }

  /** A trash entry without a header holds no data and no volume of anybody's any more. */
  async #finishRemoval(ctx: CallContext, pool: CephPool, id: string): Promise<'purged' | 'left'> {
    return pool.images.removeFromTrash(ctx, id).then(
      () => 'purged' as const,
      (error: unknown) => (isCephError(error, errno.ENOENT) ? 'purged' : 'left'),
    );
  }
}

function pauseMs(waiting: number, workMs: number): number {
  if (waiting < fewImages) return unhurriedMs;
  return waiting < veryManyImages ? workMs * pausePerWork : 0;
}
