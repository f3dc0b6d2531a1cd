import { setTimeout as sleep } from 'node:timers/promises';
import type { CephPool } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { clientAddress } from './client-address.js';

/** Removing an image opens its parent for a moment, and so does whatever else the driver does in the background. */
const ownWorkMs = 5_000;
const pollMs = 100;

/** Who may have the image open on the driver's own behalf. */
export interface ImageHolders {
  /** Asks the flattening of an image to end. @returns the address of the client that was asked and may not have done so yet. */
  letGo(ctx: CallContext, pool: CephPool, imageId: string): Promise<string | undefined>;
  /** Is this the address of a client of this process? */
  isOwn(address: string): boolean;
}

/**
 * librbd would take the lock from an idle client and trash the image under it: what is open stays.
 * @throws DriverError FAILED_PRECONDITION naming the client; ABORTED when the driver itself has it open.
 */
export async function refuseWatched(
  ctx: CallContext,
  pool: CephPool,
  id: RbdVolumeId,
  imageId: string,
  holders: ImageHolders,
): Promise<void> {
  const flattenedBy = await holders.letGo(ctx, pool, imageId);
  const end = Date.now() + ownWorkMs;
  for (;;) {
    const watchers = (await pool.images.watchers(ctx, id.image)).map(({ address }) => clientAddress(address));
    if (watchers.length === 0) return; // closed in between
    const foreign = watchers.filter((address) => address !== flattenedBy && !holders.isOwn(address));
    if (foreign.length > 0) {
      throw new DriverError(
        'FAILED_PRECONDITION',
        `volume ${formatVolumeId(id)} is in use by the client at ${[...new Set(foreign)].join(', ')}: unstage or unmap it there first; a client that was killed is forgotten after 30 s`,
      );
    }
    const elsewhere = watchers.find((address) => !holders.isOwn(address));
    if (elsewhere !== undefined) {
      throw new DriverError(
        'ABORTED',
        `volume ${formatVolumeId(id)} is being flattened by the controller at ${elsewhere}, which has been asked to stop: repeat the request; a controller that was killed is forgotten after 30 s`,
      );
    }
    if (Date.now() > end) {
      throw new DriverError(
        'ABORTED',
        `volume ${formatVolumeId(id)} is open in this controller, which works on it or on a clone of it: repeat the request`,
      );
    }
    await sleep(pollMs, undefined, { signal: ctx.signal });
  }
}
