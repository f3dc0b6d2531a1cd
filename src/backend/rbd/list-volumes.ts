import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool, ImageHeader } from '../../ceph/client.js';
import type { CallContext } from '../../platform/call-context.js';
import type { FoundVolume, VolumePage } from '../backend.js';
import { attachedNodes } from '../attachment-record.js';
import { looksDerived } from '../object-name.js';
import { formatPageToken, parsePageToken } from '../page-token.js';
import { parseRecord } from '../volume-record.js';
import { attachmentsIn } from './image-attachments.js';
import type { ImagePools } from './image-pools.js';
import { poolsInOrder } from './pools-in-order.js';
import { nodeContext } from './parameters.js';
import { attachedKey, recordKey, recordPlace } from './metadata-keys.js';

const directoryPage = 500;

/** Where a page ends: everything up to and including this image has been seen. */
interface Place {
  readonly clusterId: string;
  readonly pool: string;
  readonly image: string;
}

interface Found {
  readonly volume: FoundVolume;
  readonly place: Place;
}

/**
 * The volumes that CreateVolume has made, in the order cluster, pool, image name, so that a page stays right while volumes
 * come and go. Uses the clusters' own credentials.
 */
export async function listVolumes(
  ctx: CallContext,
  pools: ImagePools,
  after: string,
  max: number,
): Promise<VolumePage> {
  const start = after === '' ? undefined : placeOf(after);
  const found: Found[] = [];
  for await (const volume of walk(ctx, pools, start)) {
    // One more than asked for tells whether there is another page.
    if (max > 0 && found.length === max)
      return { volumes: found.map((one) => one.volume), next: tokenAfter(found.at(-1)) };
    found.push(volume);
  }
  return { volumes: found.map((one) => one.volume), next: undefined };
}

async function* walk(ctx: CallContext, pools: ImagePools, start: Place | undefined): AsyncGenerator<Found> {
  const place = start === undefined ? undefined : [start.clusterId, start.pool];
  for await (const { clusterId, pool } of poolsInOrder(ctx, pools, place)) {
    const here = start?.clusterId === clusterId && start.pool === pool.name;
    yield* walkPool(ctx, pool, clusterId, here ? start.image : '');
  }
}

async function* walkPool(ctx: CallContext, pool: CephPool, clusterId: string, after: string): AsyncGenerator<Found> {
  let last = after;
  for (;;) {
    const names = await pool.images.list(ctx, last, directoryPage);
    const ours = [...names].filter(([name]) => looksDerived(name));
    const headers = await Promise.all(ours.map(async ([, id]) => headerOf(ctx, pool, id)));
    for (const [i, [image]] of ours.entries()) {
      const volume = volumeOf(headers[i], clusterId, pool, image);
      if (volume !== undefined) yield { volume, place: { clusterId, pool: pool.name, image } };
    }
    const end = [...names.keys()].at(-1);
    if (end === undefined || names.size < directoryPage) return;
    last = end;
  }
}

async function headerOf(ctx: CallContext, pool: CephPool, id: string): Promise<ImageHeader | undefined> {
  try {
    return await pool.images.headerById(ctx, id, [recordKey, attachedKey]);
  } catch (error) {
    // Deleted since the directory was read, or a create that was cut off.
    if (isCephError(error, errno.ENOENT)) return undefined;
    throw error;
  }
}

function volumeOf(
  header: ImageHeader | undefined,
  clusterId: string,
  pool: CephPool,
  image: string,
): FoundVolume | undefined {
  const text = header?.metadata.get(recordKey);
  if (header === undefined || text === undefined) return undefined;
  return {
    id: { backend: 'rbd', clusterId, pool: pool.name, namespace: pool.namespace, image },
    sizeBytes: header.sizeBytes,
    context: nodeContext(parseRecord(text, recordPlace(image)).parameters),
    nodes: attachedNodes(attachmentsIn(header, image)),
  };
}

function tokenAfter(last: Found | undefined): string | undefined {
  return last === undefined ? undefined : formatPageToken([last.place.clusterId, last.place.pool, last.place.image]);
}

function placeOf(token: string): Place {
  const [clusterId = '', pool = '', image = ''] = parsePageToken(token, 3);
  return { clusterId, pool, image };
}
