import type { CephPool } from '../../ceph/client.js';
import type { BackgroundCount } from '../../platform/background-count.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { Logger } from '../../platform/logger.js';
import { BackgroundQueue } from '../background-queue.js';
import { clientAddress } from './client-address.js';
import { FlattenBacklog } from './flatten-backlog.js';
import { changeFlatten, type FlattenEntry, lookUpFlatten } from './flatten-registry.js';
import type { ImagePools } from './image-pools.js';
import { placeKey, type PoolPlace } from './pool-place.js';
import type { ImageHolders } from './refuse-watched.js';
import { RunningFlattens } from './running-flattens.js';

export interface FlattenerDependencies {
  readonly pools: ImagePools;
  readonly log: Logger;
  readonly count: BackgroundCount;
}

/** Bounds the depth of clone chains: images are written down to be flattened, and flattened in the background. */
export class Flattener implements ImageHolders {
  readonly #pools: ImagePools;
  readonly #running = new RunningFlattens();
  readonly #queue: BackgroundQueue<PoolPlace>;

  constructor({ pools, log, count }: FlattenerDependencies) {
    this.#pools = pools;
    this.#queue = new BackgroundQueue<PoolPlace>({
      open: async (ctx, place, credentials) => {
        const { pool, connection } = await pools.open(ctx, place, credentials);
        return new FlattenBacklog(pool, clientAddress(connection.address), this.#running);
      },
      keyOf: placeKey,
      log,
      doing: 'flattened clones',
      count,
      concurrency: 2,
    });
  }

  /** @param isUrgent somebody waits for it: it comes before others, and beside requests. @returns the entry as it is now. */
  async add(
    ctx: CallContext,
    place: PoolPlace,
    image: { readonly id: string; readonly name: string },
    credentials: Credentials | undefined,
    isUrgent: boolean,
  ): Promise<FlattenEntry> {
    const { pool } = await this.#pools.open(ctx, place, credentials);
    const own: FlattenEntry = { version: 1, image: image.name };
    const entry = await changeFlatten(ctx, pool, image.id, (now = own) => (isUrgent ? { ...now, isUrgent } : now));
    this.#queue.schedule(place, credentials);
    return entry ?? own;
  }

  /**
   * Before a deletion: an image that is being flattened is open, for nobody but us. @returns the address of the client that
   * flattens it elsewhere and has been asked to let go.
   */
  async letGo(ctx: CallContext, pool: CephPool, imageId: string): Promise<string | undefined> {
    if ((await lookUpFlatten(ctx, pool, imageId)) === undefined) return undefined;
    const entry = await changeFlatten(ctx, pool, imageId, (now) => now && { ...now, stopMs: Date.now() });
    await this.#running.stop(imageId);
    return entry?.by;
  }

  isOwn(address: string): boolean {
    return this.#pools.isOwn(address);
  }

  meet(place: PoolPlace, credentials: Credentials | undefined): void {
    this.#queue.meet(place, credentials);
  }

  async beside<T>(request: () => Promise<T>): Promise<T> {
    return this.#queue.beside(request);
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }
}
