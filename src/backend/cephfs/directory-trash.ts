import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Backlog, WorkOutcome } from '../background-queue.js';
import { trashesElsewhere } from './trashes-elsewhere.js';
import { purgeLockPath, trashPath } from './volume-paths.js';

export interface GroupPlace extends Pick<CephfsVolumeId, 'clusterId' | 'fsName'> {
  /** The directory whose trash it is. */
  readonly groupPath: string;
}

/** Entries of one volume that are removed at the same time. */
const removalConcurrency = 8;

/** The hidden directory that DeleteVolume renames volumes into. */
export class DirectoryTrash implements Backlog {
  readonly name: string;
  readonly #fs: CephFileSystem;
  readonly #groupPath: string;
  #locked = false;

  constructor(fs: CephFileSystem, groupPath: string) {
    this.name = trashPath(groupPath);
    this.#fs = fs;
    this.#groupPath = groupPath;
  }

  /** Their paths. */
  async entries(ctx: CallContext): Promise<string[]> {
    const found: string[] = [];
    for (const trash of [this.name, ...(await trashesElsewhere(ctx, this.#fs, this.#groupPath))]) {
      const entries = (await ifPresent(this.#fs.list(ctx, trash))) ?? [];
      found.push(...entries.map(({ name }) => `${trash}/${name}`));
    }
    return found;
  }

  /** It lasts as long as the session with the MDS does, and needs no renewal. */
  async lock(ctx: CallContext): Promise<boolean> {
    this.#locked ||= await this.#fs.lock(ctx, purgeLockPath(this.#groupPath));
    return this.#locked;
  }

  async unlock(ctx: CallContext): Promise<void> {
    this.#locked = false;
    await this.#fs.unlock(ctx, purgeLockPath(this.#groupPath));
  }

  async work(ctx: CallContext, entry: string, unhurried: () => Promise<void>): Promise<WorkOutcome> {
    await this.#fs.removeTree(ctx, entry, { concurrency: removalConcurrency, pause: unhurried });
    return 'done';
  }
}
