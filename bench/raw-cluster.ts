import { setMaxListeners } from 'node:events';
import { pino } from 'pino';
import type { CephConnection } from '../src/ceph/client.js';
import { ConnectionPool } from '../src/ceph/connection-pool.js';
import { type Pointer, type PointerOut, written } from '../src/ceph/native/library.js';
import { librados } from '../src/ceph/native/librados.js';
import type { CallContext } from '../src/platform/call-context.js';
import type { TestCluster } from '../test/harness/cluster.js';

/** A librados handle of the bench's own, connected as client.admin. */
export function connectRaw(cluster: TestCluster): Pointer {
  const handle: PointerOut = [null];
  check(librados().create.sync(handle, 'ceph', 'client.admin', 0n), 'rados_create2');
  check(librados().readConf.sync(written(handle), cluster.confPath), 'rados_conf_read_file');
  check(librados().setConf.sync(written(handle), 'rbd_cache', 'false'), 'rados_conf_set');
  check(librados().connect.sync(written(handle)), 'rados_connect');
  return written(handle);
}

export interface ClientSide {
  readonly connection: CephConnection;
  readonly ctx: CallContext;
  close(): Promise<void>;
}

/** The driver's own client, for what is not measured and for lists. */
export async function connectClient(cluster: TestCluster): Promise<ClientSide> {
  const log = pino({ level: 'silent' });
  const client = new ConnectionPool({ log });
  const { signal } = new AbortController();
  setMaxListeners(0, signal); // all calls of the bench share it
  const ctx: CallContext = { signal, log, requestId: 'bench' };
  const timeouts = { connectMs: 10_000, monMs: 10_000, osdMs: 30_000 };
  const access = { clusterId: 'bench', cephConf: cluster.confPath, user: 'admin', timeouts };
  return { connection: await client.connect(ctx, access), ctx, close: async () => client.close() };
}

/** The monitors of a cluster of our own take no second for each round meanwhile; those of another keep their pace. */
export async function withQuickMonitors<T>(cluster: TestCluster, work: () => Promise<T>): Promise<T> {
  const set = async (value: string) =>
    cluster.ceph(['tell', 'mon.*', 'config', 'set', 'paxos_propose_interval', value]);
  if (!cluster.owned) return work();
  const before = await cluster.ceph(['config', 'get', 'mon', 'paxos_propose_interval']);
  await set('0.02');
  try {
    return await work();
  } finally {
    await set(before.trim());
  }
}

export function check(returned: number, what: string): number {
  if (returned < 0) throw new Error(`${what} returned ${returned}`);
  return returned;
}
