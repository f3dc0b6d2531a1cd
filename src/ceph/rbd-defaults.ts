import { cephError, errno } from './ceph-error.js';
import type { ImageCreation } from './client.js';
import { configured } from './configure.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { librados } from './native/librados.js';
import type { PoolHandle } from './pool-handle.js';
import { type ImagePlan, objectCount } from './rbd-image-build.js';
import { readOmap } from './rados-omap.js';

/** What an image gets in a pool when its creator doesn't say. */
export interface RbdDefaults {
  readonly order: number;
  /** Whether the library has to make the image: something is set here that only it knows how to honour. */
  readonly needsLibrary: boolean;
}

const freshMs = 30_000;
/** librbd writes this into `rbd_info` once it knows that the pool can hold images (image/ValidatePoolRequest.cc). */
const validated = 'overwrite validated';
/** `rbd config pool set` keeps its values in that object's map under this prefix. */
const overridePrefix = 'metadata_conf_rbd_default_';

const layering = 1n << 0n;
const exclusiveLock = 1n << 2n;
const objectMap = 1n << 3n;
const fastDiff = 1n << 4n;
const deepFlatten = 1n << 5n;
const plainFeatures = layering | exclusiveLock | objectMap | fastDiff | deepFlatten;
/** librbd refuses an object map of more objects (cls_rbd_types.h, MAX_OBJECT_MAP_OBJECT_COUNT). */
const maxObjectMapObjects = 256_000_000n;

/** A pool's defaults, read anew after half a minute. */
export class RbdDefaultsReader {
  readonly #handle: PoolHandle;
  #known: { readonly defaults: Promise<RbdDefaults>; readonly sinceMs: number } | undefined;

  constructor(handle: PoolHandle) {
    this.#handle = handle;
  }

  /**
   * What to build an image of by class methods; undefined when it is for librbd to make: data pools, striping, journaling, pools
   * that no image was in yet, and whatever it refuses. Runs inside a lane's job.
   */
  async plan(image: ImageCreation): Promise<ImagePlan | undefined> {
    const { sizeBytes, features, metadata } = image;
    if (image.dataPool !== undefined || image.stripeUnitBytes !== undefined || image.stripeCount !== undefined) return;
    if (!isPlain(features)) return;
    const { order: defaultOrder, needsLibrary } = await this.#defaults();
    if (needsLibrary) return;
    const order = image.order ?? defaultOrder;
    const hasObjectMap = (features & objectMap) !== 0n;
    if (hasObjectMap && objectCount(sizeBytes, order) > maxObjectMapObjects) return;
    return { sizeBytes, features, order, hasObjectMap, metadata };
  }

  async #defaults(): Promise<RbdDefaults> {
    const known = this.#known;
    if (known !== undefined && Date.now() - known.sinceMs < freshMs) return known.defaults;
    const defaults = readDefaults(this.#handle);
    this.#known = { defaults, sinceMs: Date.now() };
    const forget = () => {
      this.#known = undefined;
    };
    // The first image makes the library validate the pool: the next one is looked at anew.
    defaults.then(({ needsLibrary }) => {
      if (needsLibrary) forget();
    }, forget);
    return defaults;
  }
}

function isPlain(features: bigint): boolean {
  if ((features & ~plainFeatures) !== 0n) return false;
  if ((features & objectMap) !== 0n && (features & exclusiveLock) === 0n) return false;
  return (features & fastDiff) === 0n || (features & objectMap) !== 0n;
}

/** The pool's own settings lie outside of its namespaces. */
async function readDefaults(handle: PoolHandle): Promise<RbdDefaults> {
  if (handle.namespace === '') return readFrom(handle, handle.io);
  const io: PointerOut = [null];
  const opened = await librados().openIo(handle.cluster, handle.name, io);
  if (opened < 0) throw cephError(opened, handle.describe(`open pool ${handle.name}`));
  try {
    return await readFrom(handle, written(io));
  } finally {
    librados().closeIo.sync(written(io));
  }
}

async function readFrom(handle: PoolHandle, io: Pointer): Promise<RbdDefaults> {
  const setting = (name: string) => configured(handle.cluster, `rbd_default_${name}`);
  const order = Number(setting('order'));
  const [info, overrides] = await Promise.all([readInfo(handle, io), readOmap(handle, io, 'rbd_info', overridePrefix)]);
  const usual = setting('data_pool') === '' && setting('stripe_unit') === '0' && setting('stripe_count') === '0';
  const knowsOrder = Number.isInteger(order) && order >= 12 && order <= 25;
  return { order, needsLibrary: info !== validated || overrides.size > 0 || !usual || !knowsOrder };
}

async function readInfo(handle: PoolHandle, io: Pointer): Promise<string> {
  const buffer = Buffer.alloc(64);
  const length = await librados().read(io, 'rbd_info', buffer, buffer.length, 0);
  if (length === -errno.ENOENT) return '';
  if (length < 0) throw cephError(length, handle.describe(`read rbd_info of pool ${handle.name}`));
  return buffer.toString('utf8', 0, length);
}
