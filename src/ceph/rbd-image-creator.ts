import { CephError, cephError, errno, ifPresent, isCephError } from './ceph-error.js';
import type { ImageCreation } from './client.js';
import { librados } from './native/librados.js';
import { librbd } from './native/librbd.js';
import { checkPool, missingPool, type PoolHandle } from './pool-handle.js';
import { RbdDefaultsReader } from './rbd-defaults.js';
import { readImageId, writeMetadata } from './rbd-header.js';
import { buildImage, completeImage, metadataPairs } from './rbd-image-build.js';
import { withImageOptions } from './rbd-image-options.js';

/** Makes images: plain ones by class methods, the others by librbd (ADR 11). Everything runs inside a lane's job. */
export class ImageCreator {
  readonly #handle: PoolHandle;
  readonly #defaults: RbdDefaultsReader;

  constructor(handle: PoolHandle) {
    this.#handle = handle;
    this.#defaults = new RbdDefaultsReader(handle);
  }

  /** @returns false when the image is there and its metadata is somebody else's. @throws CephError EEXIST. */
  async create(doing: string, name: string, image: ImageCreation): Promise<boolean> {
    const plan = await this.#defaults.plan(image);
    if (plan === undefined) return this.#createByLibrary(doing, name, image);
    const outcome = await buildImage(this.#handle, name, plan).catch(async (error: unknown) => {
      if (isCephError(error, errno.ENOENT)) throw await this.#missingPlace(doing, undefined);
      throw error;
    });
    if (outcome === 'name taken') throw cephError(-errno.EEXIST, this.#handle.describe(doing));
    return outcome === 'built';
  }

  /** For a name that has an id and no header. @throws CephError ENOENT when it has no id. */
  async complete(doing: string, name: string, image: ImageCreation): Promise<boolean> {
    const plan = await this.#defaults.plan(image);
    const id = await readImageId(this.#handle, name);
    if (plan !== undefined) return (await completeImage(this.#handle, name, id, plan)) === 'built';
    await this.clear(doing, name);
    return this.#createByLibrary(doing, name, image);
  }

  /** librbd answers ENOENT when the create was cut off before the directory's entry, and clears the name all the same. */
  async clear(doing: string, name: string): Promise<void> {
    const id = await ifPresent(readImageId(this.#handle, name));
    const removed = await librbd().remove(this.#handle.io, name);
    if (removed !== -errno.ENOENT) this.#check(removed, doing);
    // Without a header, librbd doesn't look for an object map.
    if (id !== undefined) await librados().remove(this.#handle.io, `rbd_object_map.${id}`);
  }

  async #createByLibrary(doing: string, name: string, image: ImageCreation): Promise<boolean> {
    await this.#createImage(doing, name, image);
    if (image.metadata === undefined) return true;
    const id = await readImageId(this.#handle, name);
    return writeMetadata(this.#handle, id, metadataPairs(image.metadata), [{ key: image.metadata.key, value: '' }]);
  }

  async #createImage(doing: string, name: string, image: ImageCreation): Promise<void> {
    await withImageOptions(image, async (options) => {
      const returned = await librbd().create(this.#handle.io, name, image.sizeBytes, options);
      if (returned === -errno.ENOENT) throw await this.#missingPlace(doing, image.dataPool);
      this.#check(returned, doing);
    });
  }

  /** What ENOENT means when an image is created: the pool, its namespace or the data pool. */
  async #missingPlace(doing: string, dataPool: string | undefined): Promise<CephError> {
    await checkPool(this.#handle);
    const { clusterId, cluster, namespace, name } = this.#handle;
    if (dataPool !== undefined && (await librados().poolLookup(cluster, dataPool)) < 0) {
      return missingPool(clusterId, dataPool);
    }
    if (namespace === '') return cephError(-errno.ENOENT, this.#handle.describe(doing));
    return new CephError(
      'NOT_FOUND',
      `can't ${doing} in cluster "${clusterId}": namespace "${namespace}" does not exist in pool "${name}": correct it or create it (rbd namespace create ${name}/${namespace})`,
      errno.ENOENT,
    );
  }

  #check(returned: number, doing: string): void {
    if (returned < 0) throw cephError(returned, this.#handle.describe(doing));
  }
}
