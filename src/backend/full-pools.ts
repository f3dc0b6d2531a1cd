import { isDriverError } from '../domain/errors.js';
import type { VolumeTrouble } from '../domain/health.js';

/** Runs a monitor command and gives its output. */
type Run = (command: Readonly<Record<string, unknown>>) => Promise<string>;

/** Pools of one cluster that take no writes, with the reason. */
export type FullPools = ReadonlyMap<string, FullReason>;
type FullReason = 'PoolFull' | 'PoolQuotaReached';

const words: Readonly<Record<FullReason, string>> = {
  PoolFull: 'full: add OSDs or free space',
  PoolQuotaReached: 'at its quota: raise it (ceph osd pool set-quota) or free space',
};

/**
 * By the flags of the OSD map, which clients go by: one monitor command, however large the pools are. A user who may not ask learns of none.
 * A pool at its quota has both flags (OSDMonitor::update_pools_status).
 */
export async function fullPools(run: Run): Promise<FullPools> {
  try {
    const output = await run({ prefix: 'osd pool ls', detail: 'detail', format: 'json' });
    const pools = JSON.parse(output) as { pool_name: string; flags_names: string }[];
    return new Map(
      pools.flatMap(({ pool_name: name, flags_names }) => {
        const reason = reasonIn(flags_names.split(','));
        return reason === undefined ? [] : [[name, reason] as const];
      }),
    );
  } catch (error) {
    if (isDriverError(error, 'PERMISSION_DENIED')) return new Map();
    throw error;
  }
}

/** What a volume has of it whose data lies in these pools: it can be read, and not be written. One trouble for each reason. */
export function fullTroubles(full: FullPools, pools: readonly string[], clusterId: string): VolumeTrouble[] {
  return (Object.keys(words) as FullReason[]).flatMap((reason) => {
    const names = [...new Set(pools)].filter((pool) => full.get(pool) === reason).map((pool) => `"${pool}"`);
    if (names.length === 0) return [];
    const message = `pool ${names.join(' and ')} of cluster "${clusterId}" is ${words[reason]}; until then the volume can be read, and writes to it wait or fail`;
    return [{ status: 'DEGRADED', reason, message }];
  });
}

function reasonIn(flags: readonly string[]): FullReason | undefined {
  if (flags.includes('full_quota')) return 'PoolQuotaReached';
  return flags.includes('full') ? 'PoolFull' : undefined;
}
