import { randomUUID } from 'node:crypto';
import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool } from '../../ceph/client.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Backlog, WorkOutcome } from '../background-queue.js';
import { deletedKey } from './metadata-keys.js';

/** RBD's own index of the trash: it is there when there is something to purge, so no object of ours is left in the pool. */
const lockObject = 'rbd_trash';
const lockName = 'cuttle.purge';
const lockDurationMs = 30_000;
/** This process's hold on the lock. */
const cookie = randomUUID();

/** RBD's trash of a pool and namespace; only images that carry our mark are touched. */
export class ImageTrash implements Backlog {
  readonly name: string;
  readonly #pool: CephPool;

  constructor(pool: CephPool) {
    this.name = pool.namespace === '' ? pool.name : `${pool.name}/${pool.namespace}`;
    this.#pool = pool;
  }

  async entries(ctx: CallContext): Promise<string[]> {
    return (await this.#pool.images.listTrash(ctx)).map((entry) => entry.id);
  }

  async lock(ctx: CallContext): Promise<boolean> {
    return this.#pool.lock(ctx, lockObject, lockName, cookie, lockDurationMs);
  }

  async unlock(ctx: CallContext): Promise<void> {
    await this.#pool.unlock(ctx, lockObject, lockName, cookie);
  }

  async work(ctx: CallContext, id: string): Promise<WorkOutcome> {
    try {
      const header = await this.#pool.images.headerById(ctx, id, [deletedKey]);
      if (!header.metadata.has(deletedKey)) return 'not ours';
      await this.#pool.images.removeFromTrash(ctx, id);
      return 'done';
    } catch (error) {
      // Another controller was quicker, or an earlier removal was cut off after the header was gone.
      if (isCephError(error, errno.ENOENT)) return this.#finishRemoval(ctx, id);
      // Snapshots or clones hold it, a move to the trash is still going on, or a dead client's watch is.
      if (isCephError(error)) return 'left';
      throw error;
    }
  }

  /** A trash entry without a header holds no data and no volume of anybody's any more. */
  async #finishRemoval(ctx: CallContext, id: string): Promise<WorkOutcome> {
    return this.#pool.images.removeFromTrash(ctx, id).then(
      () => 'done' as const,
      (error: unknown) => (isCephError(error, errno.ENOENT) ? 'done' : 'left'),
    );
  }
}
