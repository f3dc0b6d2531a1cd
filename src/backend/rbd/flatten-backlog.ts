import { randomUUID } from 'node:crypto';
import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool } from '../../ceph/client.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Backlog, WorkOutcome } from '../background-queue.js';
import { changeFlatten, flattenEntries, type FlattenEntry, flattenObject } from './flatten-registry.js';
import type { RunningFlattens } from './running-flattens.js';

const lockName = 'cuttle.flatten';
const lockDurationMs = 30_000;
/** This process's hold on the lock. */
const cookie = randomUUID();
/** So often the progress is written down, and looked whether a deletion wants the image closed. */
const reportMs = 2_000;
const letGoMs = 2_000;
/** How long the image is left alone for a deletion that has asked for it. */
const stoppedMs = 30_000;

/** The images of a pool and namespace that are to be flattened. */
export class FlattenBacklog implements Backlog {
  readonly name: string;
  readonly #pool: CephPool;
  /** This client's, as other clients see it in the list of an image's watchers. */
  readonly #address: string;
  readonly #running: RunningFlattens;
  #entries = new Map<string, FlattenEntry>();
  #trashed = new Set<string>();

  constructor(pool: CephPool, address: string, running: RunningFlattens) {
    this.name = pool.namespace === '' ? pool.name : `${pool.name}/${pool.namespace}`;
    this.#pool = pool;
    this.#address = address;
    this.#running = running;
  }

  async entries(ctx: CallContext): Promise<string[]> {
    this.#entries = await flattenEntries(ctx, this.#pool);
    if (this.#entries.size > 0)
      this.#trashed = new Set((await this.#pool.images.listTrash(ctx)).map((entry) => entry.id));
    return [...this.#entries.keys()];
  }

  isUrgent(imageId: string): boolean {
    return this.#entries.get(imageId)?.isUrgent === true;
  }

  async lock(ctx: CallContext): Promise<boolean> {
    return this.#pool.lock(ctx, flattenObject, lockName, cookie, lockDurationMs);
  }

  async unlock(ctx: CallContext): Promise<void> {
    await this.#pool.unlock(ctx, flattenObject, lockName, cookie);
  }

  async work(ctx: CallContext, imageId: string): Promise<WorkOutcome> {
    const entry = this.#entries.get(imageId);
    if (entry === undefined) return 'left';
    try {
      const parent = await ifPresent(this.#pool.snapshots.parent(ctx, imageId));
      // Flat, gone, or deleted: then the trash is where it goes, unless the chain of another hangs on it.
      if (parent === undefined || (this.#trashed.has(imageId) && entry.isUrgent !== true)) {
        await this.#forget(ctx, imageId);
        return 'done';
      }
      if (isStopped(entry)) return 'left';
      await this.#flatten(ctx, imageId);
      ctx.log.info({ image: entry.image, place: this.name }, 'flattened a clone');
      await this.#forget(ctx, imageId);
      return 'done';
    } catch (error) {
      if (!isCephError(error) || ctx.signal.aborted) throw error;
      // Stopped for a deletion, or flat, or gone since: the next look tells.
      if (error.errno !== errno.ECANCELED && error.errno !== errno.EINVAL && error.errno !== errno.ENOENT)
        ctx.log.warn({ err: error, image: entry.image, place: this.name }, 'a clone could not be flattened yet');
      return 'left';
    }
  }

  async #flatten(ctx: CallContext, imageId: string): Promise<void> {
    const stop = new AbortController();
    let progress: Pick<FlattenEntry, 'done' | 'total'> = {};
    const report = async () => {
      const entry = await changeFlatten(ctx, this.#pool, imageId, (now) =>
        now === undefined ? undefined : { ...now, by: this.#address, ...progress },
      );
      if (entry === undefined || isStopped(entry)) stop.abort();
    };
    await report();
    const reporting = setInterval(() => void report().catch(() => undefined), reportMs);
    const onProgress = (done: number, total: number) => {
      progress = { done, total };
    };
    try {
      await this.#running.track(imageId, stop, async () =>
        this.#pool.snapshots.flatten(ctx, imageId, { onProgress, stop: stop.signal }),
      );
    } finally {
      clearInterval(reporting);
      await this.#letGo({ ...ctx, signal: AbortSignal.timeout(letGoMs) }, imageId).catch(() => undefined);
    }
  }

  /** From here on it is not this client that keeps the image open. */
  async #letGo(ctx: CallContext, imageId: string): Promise<void> {
    await changeFlatten(ctx, this.#pool, imageId, (now) => {
      if (now === undefined) return undefined;
      const { version, image, isUrgent, stopMs } = now;
      return {
        version,
        image,
        ...(isUrgent === undefined ? {} : { isUrgent }),
        ...(stopMs === undefined ? {} : { stopMs }),
      };
    });
  }

  async #forget(ctx: CallContext, imageId: string): Promise<void> {
    await changeFlatten(ctx, this.#pool, imageId, () => undefined);
  }
}

function isStopped({ stopMs = 0 }: FlattenEntry): boolean {
  return stopMs > Date.now() - stoppedMs;
}
