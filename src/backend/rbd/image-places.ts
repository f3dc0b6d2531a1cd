import type { ClusterDefinition } from '../../ceph/clusters.js';
import { DriverError } from '../../domain/errors.js';
import { keysOf, type Reach, type Segments, withWholeKeys } from '../../domain/topology.js';
import { constrainedPoolsParameter } from './constrained-pools.js';
import type { RbdParameters } from './parameters.js';

/** Where an image may lie. */
export interface ImagePlace {
  readonly pool: string;
  readonly dataPool: string | undefined;
  readonly reach: Reach;
}

/** The pools that a StorageClass names; `pool` itself only where it is written beside constrained ones. */
export function poolsOf({ constrainedPools, pool, ownPool }: RbdParameters): string[] {
  if (constrainedPools.length === 0) return [pool];
  const pools = constrainedPools.map((one) => one.pool);
  return [...new Set([...pools, ...(ownPool === undefined ? [] : [ownPool])])];
}

/**
 * The places of a StorageClass, in its order. Entries for the same pools are one place, reached from each of theirs.
 * @param asked what the request says of topology; undefined: nothing, and then `pool` counts first where it is written
 * @param keys the topology keys that the driver knows, for domain labels that are written short
 * @throws DriverError INVALID_ARGUMENT when a label can't be understood and there is no `pool` to fall back on.
 */
export function imagePlaces(
  parameters: RbdParameters,
  cluster: Pick<ClusterDefinition, 'topology'>,
  asked: readonly Segments[] | undefined,
  keys: readonly string[],
): ImagePlace[] {
  const { constrainedPools, pool, ownPool, dataPool } = parameters;
  if (constrainedPools.length === 0) return [{ pool, dataPool, reach: cluster.topology }];
  const places = constrainedPlaces(parameters, [...keysOf(asked ?? []), ...keys]);
  if (asked !== undefined) return places;
  if (ownPool !== undefined) {
    const same = places.find((place) => place.pool === ownPool && place.dataPool === dataPool);
    return [same ?? { pool: ownPool, dataPool, reach: cluster.topology }, ...places.filter((place) => place !== same)];
  }
  if (places.length > 0) return places;
  throw new DriverError(
    'INVALID_ARGUMENT',
    `parameter ${constrainedPoolsParameter}: which topology keys its domainLabels are can't be told, as the request says nothing of topology: start the controller with --topology-labels, write the labels in full (topology.kubernetes.io/zone), or name a pool beside them`,
  );
}

function constrainedPlaces({ constrainedPools }: RbdParameters, keys: readonly string[]): ImagePlace[] {
  const places = new Map<string, ImagePlace>();
  for (const { pool, dataPool, domain } of constrainedPools) {
    const segments = withWholeKeys(domain, keys);
    if (segments === undefined) continue;
    const same = JSON.stringify([pool, dataPool]);
    places.set(same, { pool, dataPool, reach: [...(places.get(same)?.reach ?? []), segments] });
  }
  return [...places.values()];
}
