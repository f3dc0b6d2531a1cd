import type { CephPool, ImageParent } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import { featureBits } from './features.js';
import type { FlattenEntry } from './flatten-registry.js';
import type { PoolPlace } from './pool-place.js';

/** No chain is longer than what the kernel client takes (drivers/block/rbd.c, RBD_MAX_PARENT_CHAIN_LEN). */
const longestChain = 16;

/** An image, or a snapshot of one, that a clone is to be made of. */
export interface ChainStart {
  readonly place: PoolPlace;
  readonly pool: CephPool;
  readonly imageId: string;
  /** The image's name as the request has it. */
  readonly image: string;
  /** undefined for the image as it is now. */
  readonly snapshotId: bigint | undefined;
}

/** An image of a chain, the clone's source first. */
interface Link {
  readonly place: PoolPlace;
  readonly pool: CephPool;
  readonly imageId: string;
  readonly name: string;
}

export interface DepthLimits {
  /** A deeper clone is made, and flattened in the background. */
  readonly soft: number;
  /** A deeper clone is not made before an image of its chain is flat. */
  readonly hard: number;
}

export interface DepthDependencies {
  readonly limits: DepthLimits;
  readonly open: (place: PoolPlace) => Promise<CephPool>;
  /** Has an image flattened before others. @returns how far that is. */
  readonly urge: (place: PoolPlace, image: { id: string; name: string }) => Promise<FlattenEntry>;
}

/**
 * How deep a clone of this would be: 1 for one of an image that is no clone itself. One round trip per image of the chain and nothing
 * that is remembered, so that it holds for images of others, and after any flattening.
 * @throws DriverError ABORTED with the progress while the chain is too long and is being shortened; FAILED_PRECONDITION when it can't be.
 */
export async function boundedDepth(ctx: CallContext, deps: DepthDependencies, start: ChainStart): Promise<number> {
  const chain = await chainOf(ctx, deps, start);
  // A clone of the first of them is as deep as the chain is long.
  const depth = chain.length;
  if (depth <= deps.limits.hard) return depth;
  const link = await shortenable(ctx, start, chain.slice(0, Math.min(deps.limits.hard, depth - 1)));
  const what = `a clone of ${describe(start.place, start.image)} would be number ${depth} of a chain of clones, and rbd.cloneDepthHardLimit is ${deps.limits.hard}`;
  if (link === undefined) {
    throw new DriverError(
      'FAILED_PRECONDITION',
      `${what}: flattening its images doesn't shorten the chain, because they lack the feature deep-flatten; clone the volume instead of the snapshot, or copy it (rbd deep cp)`,
    );
  }
  const { done = 0, total } = await deps.urge(link.place, { id: link.imageId, name: link.name });
  const progress = total === undefined ? 'it waits for its turn' : `${done} of ${total} objects`;
  throw new DriverError(
    'ABORTED',
    `${what}: ${describe(link.place, link.name)} is being flattened first (${progress}), the request may then be repeated`,
  );
}

async function chainOf(ctx: CallContext, deps: DepthDependencies, start: ChainStart): Promise<Link[]> {
  const { place, pool, imageId, image } = start;
  const chain: Link[] = [{ place, pool, imageId, name: image }];
  let parent = await pool.snapshots.parent(ctx, imageId, start.snapshotId);
  while (parent !== undefined && chain.length <= longestChain) {
    const link = await linkOf(deps, place.clusterId, parent);
    chain.push(link);
    parent = await link.pool.snapshots.parent(ctx, parent.imageId, parent.snapshotId);
  }
  return chain;
}

async function linkOf(deps: DepthDependencies, clusterId: string, parent: ImageParent): Promise<Link> {
  const place = { clusterId, pool: parent.pool, namespace: parent.namespace };
  return { place, pool: await deps.open(place), imageId: parent.imageId, name: `with the id ${parent.imageId}` };
}

/** The nearest image whose flattening shortens the chain: with deep-flatten its snapshots come along, without it only the image itself. */
async function shortenable(ctx: CallContext, start: ChainStart, chain: readonly Link[]): Promise<Link | undefined> {
  for (const link of chain) {
    if (link.imageId === start.imageId && start.snapshotId === undefined) return link;
    const { features } = await link.pool.images.headerById(ctx, link.imageId, []);
    if ((features & featureBits['deep-flatten']) !== 0n) return link;
  }
  return undefined;
}

function describe({ pool, namespace }: PoolPlace, name: string): string {
  return `image ${name} of ${namespace === '' ? pool : `${pool}/${namespace}`}`;
}
