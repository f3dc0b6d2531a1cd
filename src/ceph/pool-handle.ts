import type { CallContext } from '../platform/call-context.js';
import { type CephCall, CephError, errno, isCephError } from './ceph-error.js';
import type { Pointer } from './native/library.js';
import { librados } from './native/librados.js';
import type { NativeLane, RunOptions } from './native-lane.js';

/** What the parts of one opened pool share. */
export interface PoolHandle {
  readonly name: string;
  readonly namespace: string;
  readonly clusterId: string;
  readonly cluster: Pointer;
  readonly io: Pointer;
  readonly lane: NativeLane;
  readonly describe: (doing: string) => CephCall;
  /** The pool was deleted, or deleted and made again: this handle speaks to the old one. */
  stale: boolean;
}

export function missingPool(clusterId: string, name: string): CephError {
  return new CephError(
    'NOT_FOUND',
    `pool "${name}" does not exist in cluster "${clusterId}": correct the pool in the StorageClass or create it (ceph osd pool create ${name}; rbd pool init ${name})`,
    errno.ENOENT,
  );
}

/** Runs a job on a pool's lane. What is missing may be the pool itself: then the answer says so. */
export async function inPool<T>(
  handle: PoolHandle,
  ctx: CallContext,
  doing: string,
  job: () => Promise<T>,
  options: RunOptions = {},
): Promise<T> {
  const checked = async () => {
    try {
      return await job();
    } catch (error) {
      if (isCephError(error, errno.ENOENT)) await checkPool(handle);
      throw error;
    }
  };
  return handle.lane.run(ctx, handle.describe(doing), checked, options);
}

/** For answers that ENOENT stands for. @throws CephError when the pool is gone or another one has its name now. Runs inside a job. */
export async function checkPool(handle: PoolHandle): Promise<void> {
  const rados = librados();
  const current = await rados.poolLookup(handle.cluster, handle.name);
  if (current === rados.ioPoolId.sync(handle.io)) return;
  handle.stale = true;
  if (current < 0) throw missingPool(handle.clusterId, handle.name);
  throw new CephError(
    'UNAVAILABLE',
    `pool "${handle.name}" of cluster "${handle.clusterId}" was deleted and made again: repeat the request`,
    errno.ESTALE,
  );
}
