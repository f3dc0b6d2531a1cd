import t from 'tap';
import { clusterHealth, type HealthReport, merged, troublesIn } from '../../src/ceph/cluster-health.js';
import type { CephAccess, CephClient, CephConnection } from '../../src/ceph/client.js';
import { type ClusterDefinition, Clusters } from '../../src/ceph/clusters.js';
import { DriverError } from '../../src/domain/errors.js';
import type { CallContext } from '../../src/platform/call-context.js';
import { Secret } from '../../src/platform/secret.js';
import { testContext } from '../platform/test-context.js';

const report: HealthReport = {
  checks: {
    POOL_FULL: { summary: { message: '1 pool(s) full' } },
    OSD_NEARFULL: { summary: { message: '2 nearfull osd(s)' }, muted: true },
    POOL_APP_NOT_ENABLED: { summary: { message: '1 pool(s) do not have an application enabled' } },
  },
};

const definition = (id: string) => ({ id, user: 'admin' }) as unknown as ClusterDefinition;

/** Clusters by what the connection to each of them does. */
function fake(clusters: Readonly<Record<string, (ctx: CallContext, access: CephAccess) => Promise<HealthReport>>>) {
  const client: CephClient = {
    connect: async (_ctx, access) => {
      const answer = clusters[access.clusterId];
      if (answer === undefined) throw new Error(access.clusterId);
      const monCommand: CephConnection['monCommand'] = async (ctx) => JSON.stringify(await answer(ctx, access));
      return Promise.resolve({ monCommand } as unknown as CephConnection);
    },
    close: async () => Promise.resolve(),
  };
  return { client, known: new Clusters(Object.keys(clusters).map(definition)) };
}

const failing = (code: 'UNAVAILABLE' | 'UNAUTHENTICATED' | 'PERMISSION_DENIED') => async () =>
  Promise.reject(new DriverError(code, `it is ${code}`));

t.test('checks that tell of volumes are told, those that are muted or the cluster alone concern are not', (t) => {
  t.strictSame(troublesIn(report, 'a'), [
    {
      status: 'STORAGE_DEGRADED',
      reason: 'Full',
      message: 'cluster "a": 1 pool(s) full (POOL_FULL; ceph health detail)',
    },
  ]);
  t.strictSame(troublesIn({ checks: {} }, 'a'), []);
  t.end();
});

t.test('of several clusters in one trouble there is one entry, with a sentence on each', (t) => {
  const [full] = troublesIn(report, 'a');
  const [other] = troublesIn(report, 'b');
  t.match(merged([full, other].flatMap((one) => one ?? [])), [{ reason: 'Full', message: /"a": .*; cluster "b": / }]);
  t.equal(merged([full, other].flatMap((one) => one ?? [])).length, 1);
  t.end();
});

t.test('every cluster is asked; the one that does not answer is unreachable, a refusal is an answer', async (t) => {
  const ctx = testContext();
  const { client, known } = fake({
    full: async () => Promise.resolve(report),
    gone: failing('UNAVAILABLE'),
    stranger: failing('UNAUTHENTICATED'),
    strict: failing('PERMISSION_DENIED'),
  });
  const troubles = await clusterHealth(ctx, known, client, undefined);
  t.match(troubles, [
    { status: 'STORAGE_DEGRADED', reason: 'Full' },
    { status: 'STORAGE_UNREACHABLE', reason: 'MonitorsUnreachable', message: 'it is UNAVAILABLE' },
  ]);
  t.equal(troubles.length, 2);
  t.match(
    ctx.lines.map(({ cluster }) => cluster),
    ['stranger', 'strict'],
  );
});

t.test("the request's credentials count before the cluster's own", async (t) => {
  const users: string[] = [];
  const { client, known } = fake({
    a: async (_ctx, { user }) => {
      users.push(user);
      return Promise.resolve({ checks: {} });
    },
  });
  await clusterHealth(testContext(), known, client, undefined);
  await clusterHealth(testContext(), known, client, { user: 'kube', key: new Secret('k') });
  t.strictSame(users, ['admin', 'kube']);
});

t.test('a caller that goes away ends it, with no word on the clusters', async (t) => {
  const aborter = new AbortController();
  const reason = new DriverError('CANCELLED', 'the caller went away');
  const { client, known } = fake({
    slow: async (ctx) =>
      new Promise((_resolve, reject) => {
        ctx.signal.addEventListener('abort', () => {
          reject(ctx.signal.reason as Error);
        });
        aborter.abort(reason);
      }),
  });
  await t.rejects(clusterHealth(testContext(aborter.signal), known, client, undefined), { code: 'CANCELLED' });
});
