import { setTimeout as sleep } from 'node:timers/promises';
import type { CephConnection, CephPool, ImageHeader } from '../../ceph/client.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { StageInput } from '../backend.js';
import { hostOf } from './client-address.js';
import { clientsIn, listWatching, writeClients } from './image-clients.js';
import { imageSpec } from './rbd-program.js';

const settleMs = 500;

/** A mapped image, or one that is about to be. */
export interface NodeImage {
  readonly id: RbdVolumeId;
  /** Read with this node's clientKey(). */
  readonly header: ImageHeader;
  readonly pool: CephPool;
  readonly nodeId: string;
}

/** Is the client that this node has named last among those that were fenced? What it still holds must never be written. */
export function isFenced({ header, nodeId }: NodeImage, { attached }: StageInput<RbdVolumeId>): boolean {
  return clientsIn(header, nodeId).some((address) => attached.fencedClients.includes(address));
}

/**
 * Writes on the image by which client this node has just mapped it: the one that watches it and didn't before.
 * @param before the addresses that watched it then
 */
export async function nameClient(ctx: CallContext, image: NodeImage, before: readonly string[]): Promise<void> {
  const { id, header, pool, nodeId } = image;
  const isNew = async () =>
    (await listWatching(ctx, pool, id, header.id)).filter((address) => !before.includes(address));
  let own = await isNew();
  if (own.length > 1) {
    // A controller that grows or clones the image at this moment has it open as well, and closes it soon.
    await sleep(settleMs, undefined, { signal: ctx.signal });
    const still = await isNew();
    own = own.filter((address) => still.includes(address));
  }
  if (own.length === 0)
    ctx.log.warn({ image: imageSpec(id) }, 'the mapped image has no watcher of its own: it will not be fenced');
  await writeClients(ctx, pool, header.id, nodeId, own);
}

/** A read-only mapping has no client that could write, and leaves no trace; the fenced one before it is gone. */
export async function forgetClients(ctx: CallContext, { header, pool, nodeId }: NodeImage): Promise<void> {
  await writeClients(ctx, pool, header.id, nodeId, []);
}

/** For a mapping whose stage was cut off, perhaps before its client was named: then every client of this host that isn't our own. */
export async function nameClientAgain(ctx: CallContext, image: NodeImage, connection: CephConnection): Promise<void> {
  const { id, header, pool, nodeId } = image;
  const watching = await listWatching(ctx, pool, id, header.id);
  if (clientsIn(header, nodeId).some((address) => watching.includes(address))) return;
  const own = watching.filter(
    (address) => hostOf(address) === hostOf(connection.address) && address !== connection.address,
  );
  await writeClients(ctx, pool, header.id, nodeId, own);
}
