import type { CephPool, ImageHeader } from '../../ceph/client.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { shortKey } from '../attachment-record.js';
import { clientAddress } from './client-address.js';
import { flattenerOf } from './flatten-registry.js';

/*
 * Which Ceph clients a node has an image open with, written on the image by the node when it maps it: what is to be fenced should the
 * node be lost. The key carries the node's name, so that nodes which share an image don't write over each other's.
 */
const keyPrefix = '.cuttle.client.';

interface ClientRecord {
  /** The image's id: RBD copies metadata to clones, and there it means nothing. */
  readonly image: string;
  readonly node: string;
  readonly addresses: readonly string[];
}

export function clientKey(node: string): string {
  return keyPrefix + shortKey(node);
}

/** Of a header that was read with the node's clientKey(). Empty when the node has written nothing. */
export function clientsIn(header: ImageHeader, node: string): readonly string[] {
  const text = header.metadata.get(clientKey(node));
  if (text === undefined) return [];
  try {
    const { image, addresses } = JSON.parse(text) as Partial<ClientRecord>;
    return image === header.id ? (addresses ?? []) : [];
  } catch {
    return [];
  }
}

export async function writeClients(
  ctx: CallContext,
  pool: CephPool,
  imageId: string,
  node: string,
  addresses: readonly string[],
): Promise<void> {
  const record: ClientRecord = { image: imageId, node, addresses };
  await pool.images.setMetadata(ctx, imageId, new Map([[clientKey(node), JSON.stringify(record)]]));
}

/**
 * Addresses of all who have the image open for writing, each once. Not a controller that flattens it: that writes nothing of its own, and
 * hands the lock over. Cheap when there is nobody.
 */
export async function watchingClients(
  ctx: CallContext,
  pool: CephPool,
  id: RbdVolumeId,
  imageId: string,
): Promise<string[]> {
  return (await pool.images.isWatched(ctx, imageId)) ? listWatching(ctx, pool, id, imageId) : [];
}

/** The same where there is somebody. */
export async function listWatching(
  ctx: CallContext,
  pool: CephPool,
  id: RbdVolumeId,
  imageId: string,
): Promise<string[]> {
  const watchers = await pool.images.watchers(ctx, id.image);
  if (watchers.length === 0) return [];
  const flattener = await flattenerOf(ctx, pool, imageId);
  const others = watchers.map(({ address }) => address).filter((address) => clientAddress(address) !== flattener);
  return [...new Set(others)];
}
