import type { RbdVolumeId } from '../../domain/volume-id.js';

/** Where images lie. */
export type PoolPlace = Pick<RbdVolumeId, 'clusterId' | 'pool' | 'namespace'>;

/** Equal for equal places. */
export function placeKey({ clusterId, pool, namespace }: PoolPlace): string {
  return JSON.stringify([clusterId, pool, namespace]);
}
