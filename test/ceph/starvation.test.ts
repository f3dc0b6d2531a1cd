import { readFile } from 'node:fs/promises';
import t from 'tap';
import type { CephAccess, CephPool } from '../../src/ceph/client.js';
import { ConnectionPool } from '../../src/ceph/connection-pool.js';
import { Secret } from '../../src/platform/secret.js';
import { startCluster } from '../harness/cluster.js';
import { stopProcess } from '../harness/stop-process.js';
import { context, creation, failureOf, silentLog } from './contract-subject.js';
import { adminAccess } from './real-subject.js';

t.setTimeout(180_000);

const timeouts = { connectMs: 3_000, monMs: 3_000, osdMs: 3_000 };

function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** How long creates, header reads and file reads take, one after the other, in milliseconds. */
async function measure(
  pool: CephPool,
  prefix: string,
): Promise<{ createMs: number; headerMs: number; fileMs: number }> {
  const [create, header, file]: number[][] = [[], [], []];
  for (let i = 0; i < 60; i++) {
    const name = `${prefix}-${i}`;
    create?.push(await timed(async () => pool.images.create(context(), name, creation())));
    header?.push(await timed(async () => pool.images.header(context(), name, ['a'])));
    file?.push(await timed(async () => readFile('/proc/self/mountinfo')));
  }
  const p95 = (values: number[] | undefined) => percentile(values ?? [], 0.95);
  return { createMs: p95(create), headerMs: p95(header), fileMs: p95(file) };
}

t.test('a cluster that hangs delays neither another cluster nor the file system', async (t) => {
  const hanging = await startCluster({ fs: false });
  t.teardown(async () => hanging.stop());
  const healthy = await startCluster({ fs: false });
  t.teardown(async () => healthy.stop());
  const client = new ConnectionPool({ log: silentLog });
  t.teardown(async () => client.close());

  const open = async (access: CephAccess) => (await client.connect(context(), access)).pool(context(), 'rbd', '');
  const good = await open({ ...adminAccess(healthy, timeouts), clusterId: 'healthy' });
  const hung: CephPool[] = [];
  for (let i = 0; i < 6; i++) {
    const key = new Secret(await hanging.createUser(`user-${i}`, { mon: 'profile rbd', osd: 'profile rbd' }));
    hung.push(await open({ ...adminAccess(hanging, timeouts), clusterId: 'hanging', user: `user-${i}`, key }));
  }
  const before = await measure(good, 'before');

  const pids = [await hanging.pidOf('osd'), await hanging.pidOf('mon')];
  for (const pid of pids) await stopProcess(pid);
  const calls = hung.flatMap((pool) =>
    Array.from({ length: 40 }, async (_, i) => failureOf(pool.images.create(context(4_000), `hung-${i}`, creation()))),
  );
  const during = await measure(good, 'during');
  const failures = await Promise.all(calls);
  for (const pid of pids) process.kill(pid, 'SIGCONT');

  t.comment(`p95 before: ${JSON.stringify(before)}, with ${calls.length} calls hanging: ${JSON.stringify(during)}`);
  t.ok(failures.every(({ code }) => code === 'UNAVAILABLE'));
  t.ok(during.createMs < before.createMs * 5 + 50, 'creates');
  t.ok(during.headerMs < before.headerMs * 5 + 50, 'header reads');
  t.ok(during.fileMs < before.fileMs * 5 + 50, 'files');
  await hung[0]?.images.create(context(), 'after', creation());
  t.equal((await hung[5]?.images.header(context(), 'after', []))?.sizeBytes, 1n << 30n, 'it works again');
});
