import type { CephPool, ImageSummary } from '../../ceph/client.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { FoundVolume, VolumePage } from '../backend.js';
import { attachedNodes } from '../attachment-record.js';
import { looksDerived } from '../object-name.js';
import { formatPageToken, parsePageToken } from '../page-token.js';
import { parseRecord } from '../volume-record.js';
import { chosenPlace } from './chosen-place.js';
import { headerBytesIn } from './encryption.js';
import { attachmentsIn } from './image-attachments.js';
import type { ImagePools } from './image-pools.js';
import { poolsInOrder } from './pools-in-order.js';
import { nodeContext } from './parameters.js';
import { attachedKey, encryptedKey, recordKey, recordPlace } from './metadata-keys.js';

const directoryPage = 500;
/** Read at once also when fewer are wanted: it costs no more. */
const fewest = 32;
/** What is read of each image. */
const listedKeys = [recordKey, attachedKey, encryptedKey];

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
  const room = () => (max === 0 ? directoryPage : max - found.length);
  for await (const volume of walk(ctx, pools, start, room)) {
    // One more than asked for tells whether there is another page.
    if (max > 0 && found.length === max)
      return { volumes: found.map((one) => one.volume), next: tokenAfter(found.at(-1)) };
    found.push(volume);
  }
  return { volumes: found.map((one) => one.volume), next: undefined };
}

/** @param room how many volumes the page may still take */
async function* walk(
  ctx: CallContext,
  pools: ImagePools,
  start: Place | undefined,
  room: () => number,
): AsyncGenerator<Found> {
  const place = start === undefined ? undefined : [start.clusterId, start.pool];
  for await (const { clusterId, pool } of poolsInOrder(ctx, pools, place)) {
    const here = start?.clusterId === clusterId && start.pool === pool.name;
    yield* walkPool(ctx, pool, clusterId, here ? start.image : '', room);
  }
}

async function* walkPool(
  ctx: CallContext,
  pool: CephPool,
  clusterId: string,
  after: string,
  room: () => number,
): AsyncGenerator<Found> {
  let last = after;
  for (;;) {
    const names = await pool.images.list(ctx, last, directoryPage);
    const ours = [...names].filter(([name]) => looksDerived(name));
    while (ours.length > 0) {
      const part = ours.splice(0, Math.max(room() + 1, fewest));
      const ids = part.map(([, id]) => id);
      const summaries = await pool.images.summaries(ctx, ids, listedKeys);
      for (const [i, [image]] of part.entries()) {
        const volume = volumeOf(summaries[i], { clusterId, pool: pool.name, namespace: pool.namespace, image });
        if (volume !== undefined) yield { volume, place: { clusterId, pool: pool.name, image } };
      }
    }
    const end = [...names.keys()].at(-1);
    if (end === undefined || names.size < directoryPage) return;
    last = end;
  }
}

/** undefined for an image that was deleted since the directory was read, or that is none of ours. */
function volumeOf(summary: ImageSummary | undefined, place: Omit<RbdVolumeId, 'backend'>): FoundVolume | undefined {
  const text = summary?.metadata.get(recordKey);
  if (summary === undefined || text === undefined) return undefined;
  const record = parseRecord(text, recordPlace(place.image));
  return {
    id: { backend: 'rbd', ...place },
    sizeBytes: summary.sizeBytes - headerBytesIn(summary.metadata),
    context: nodeContext(record.parameters),
    nodes: attachedNodes(attachmentsIn(summary, place.image)),
    ...chosenPlace(record),
  };
}

function tokenAfter(last: Found | undefined): string | undefined {
  return last === undefined ? undefined : formatPageToken([last.place.clusterId, last.place.pool, last.place.image]);
}

function placeOf(token: string): Place {
  const [clusterId = '', pool = '', image = ''] = parsePageToken(token, 3);
  return { clusterId, pool, image };
}
