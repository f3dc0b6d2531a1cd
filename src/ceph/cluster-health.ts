import type { StorageTrouble } from '../domain/health.js';
import { DriverError, isDriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import type { CephClient } from './client.js';
import { accessTo, type ClusterDefinition, type Clusters } from './clusters.js';

/** For connecting and one question. Whoever asks for health asks again soon. */
const answerTimeoutMs = 4_000;

/** Ceph's health checks (docs.ceph.com, "Health checks") that tell of volumes; others are the cluster's own affair. */
const reasons: Readonly<Record<string, string>> = {
  OSD_FULL: 'Full',
  POOL_FULL: 'Full',
  OSD_NEARFULL: 'NearFull',
  POOL_NEARFULL: 'NearFull',
  OSD_BACKFILLFULL: 'NearFull',
  POOL_BACKFILLFULL: 'NearFull',
  PG_AVAILABILITY: 'DataUnavailable',
  PG_DEGRADED: 'RedundancyReduced',
  OBJECT_UNFOUND: 'DataDamaged',
  PG_DAMAGED: 'DataDamaged',
  SLOW_OPS: 'SlowRequests',
  MDS_ALL_DOWN: 'NoActiveMds',
};

/** The part of `ceph health --format json` that is looked at. */
export interface HealthReport {
  readonly checks: Readonly<
    Record<string, { readonly summary: { readonly message: string }; readonly muted?: boolean }>
  >;
}

/**
 * What is wrong with the clusters of the configuration, all asked at the same time, each within four seconds: do the monitors answer
 * this node, and what do they say of the cluster (one command, which any user may run)? The request's credentials count before the
 * clusters' own. A node that has none, or the wrong ones for a cluster, still learns whether its monitors answer: a refusal is an answer.
 */
export async function clusterHealth(
  ctx: CallContext,
  clusters: Clusters,
  client: CephClient,
  credentials: Credentials | undefined,
): Promise<StorageTrouble[]> {
  const found = await Promise.all(clusters.all().map(async (one) => troublesOf(ctx, client, one, credentials)));
  return merged(found.flat());
}

async function troublesOf(
  ctx: CallContext,
  client: CephClient,
  cluster: ClusterDefinition,
  credentials: Credentials | undefined,
): Promise<StorageTrouble[]> {
  try {
    const output = await within(ctx, answerTimeoutMs, async (limited) => {
      const connection = await client.connect(limited, accessTo(cluster, credentials));
      return connection.monCommand(limited, { prefix: 'health', format: 'json' });
    });
    return troublesIn(JSON.parse(output) as HealthReport, cluster.id);
  } catch (error) {
    if (ctx.signal.aborted) throw ctx.signal.reason;
    if (isDriverError(error, 'UNAVAILABLE'))
      return [{ status: 'STORAGE_UNREACHABLE', reason: 'MonitorsUnreachable', message: error.message }];
    if (!isDriverError(error, 'UNAUTHENTICATED') && !isDriverError(error, 'PERMISSION_DENIED')) throw error;
    ctx.log.info(
      { cluster: cluster.id, reason: error.message },
      'only that the cluster answers is known of its health',
    );
    return [];
  }
}

/** Checks that somebody has muted are no news. */
export function troublesIn(report: HealthReport, clusterId: string): StorageTrouble[] {
  return Object.entries(report.checks).flatMap(([check, { summary, muted }]) => {
    const reason = reasons[check];
    if (reason === undefined || muted === true) return [];
    const message = `cluster "${clusterId}": ${summary.message} (${check}; ceph health detail)`;
    return [{ status: 'STORAGE_DEGRADED', reason, message }];
  });
}

/** CSI spec, StorageBackendHealth: no two with the same status and reason, of several clusters neither. */
export function merged(troubles: readonly StorageTrouble[]): StorageTrouble[] {
  const groups = new Map<string, StorageTrouble>();
  for (const trouble of troubles) {
    const key = `${trouble.status} ${trouble.reason}`;
    const same = groups.get(key);
    groups.set(key, same === undefined ? trouble : { ...same, message: `${same.message}; ${trouble.message}` });
  }
  return [...groups.values()];
}

/** Work with a deadline of its own, shorter than the caller's. */
async function within<T>(ctx: CallContext, timeoutMs: number, work: (ctx: CallContext) => Promise<T>): Promise<T> {
  const aborter = new AbortController();
  const leave = () => {
    aborter.abort(ctx.signal.reason);
  };
  ctx.signal.addEventListener('abort', leave, { once: true });
  const timer = setTimeout(() => {
    aborter.abort(new DriverError('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    return await work({ ...ctx, signal: aborter.signal });
  } finally {
    clearTimeout(timer);
    ctx.signal.removeEventListener('abort', leave);
  }
}
