import { ifPresent } from '../../ceph/ceph-error.js';
import type { Reach } from '../../domain/topology.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { ContentSource } from '../backend.js';
import { parseRecord } from '../volume-record.js';
import type { ImagePools } from './image-pools.js';
import { recordKey, recordPlace } from './metadata-keys.js';
import { lookUp } from './snapshot-registry.js';

/** From where the data can be reached that a clone would share. Of what is no image here, everywhere: others say what is wrong with it. */
export async function sourceReach(
  ctx: CallContext,
  pools: ImagePools,
  clusterId: string,
  source: ContentSource,
  credentials: Credentials | undefined,
): Promise<Reach> {
  const volume = 'snapshot' in source ? source.snapshot.source : source.volume;
  if (volume.backend !== 'rbd' || volume.clusterId !== clusterId) return [];
  const { pool } = await pools.open(ctx, volume, credentials);
  const entry = 'snapshot' in source ? await lookUp(ctx, pool, source.snapshot.name) : undefined;
  if (entry?.reach !== undefined) return entry.reach;
  const header = await ifPresent(pool.images.header(ctx, volume.image, [recordKey]));
  const text = header?.metadata.get(recordKey);
  const chosen = text === undefined ? undefined : parseRecord(text, recordPlace(volume.image)).place;
  return chosen?.reach ?? pools.clusters.require(clusterId).topology;
}
