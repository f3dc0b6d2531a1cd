import { setMaxListeners } from 'node:events';
import { pino } from 'pino';
import { featureBits } from '../src/backend/rbd/features.js';
import type { CephPool } from '../src/ceph/client.js';
import { ConnectionPool } from '../src/ceph/connection-pool.js';
import { type Pointer, type PointerOut, written } from '../src/ceph/native/library.js';
import { librados } from '../src/ceph/native/librados.js';
import { imageOption, librbd } from '../src/ceph/native/librbd.js';
import type { CallContext } from '../src/platform/call-context.js';
import type { TestCluster } from '../test/harness/cluster.js';

/** The bare library calls that the driver's RPCs can't be faster than, on one connection, without anything around them. */
export interface RawRbd {
  create(name: string): Promise<void>;
  /** What a repeated CreateVolume has to ask at the least: is the name taken, and by what. */
  lookUp(name: string): Promise<void>;
  trashMove(name: string): Promise<void>;
  list(): Promise<number>;
  emptyTrash(): Promise<void>;
  close(): Promise<void>;
}

const giB = 1n << 30n;
const driverDefaults =
  featureBits.layering |
  featureBits['exclusive-lock'] |
  featureBits['object-map'] |
  featureBits['fast-diff'] |
  featureBits['deep-flatten'];

export async function openRaw(cluster: TestCluster, poolName: string): Promise<RawRbd> {
  const io = openIo(cluster, poolName);
  const options: PointerOut = [null];
  librbd().createOptions.sync(options);
  librbd().setOptionUint64.sync(written(options), imageOption.features, driverDefaults);
  const { pool, ctx, client } = await openPool(cluster, poolName);
  return {
    create: async (name) => {
      check(await librbd().create(io.io, name, giB, written(options)), 'rbd_create4');
    },
    lookUp: async (name) => {
      const buffer = Buffer.alloc(64);
      check(await librados().read(io.io, `rbd_id.${name}`, buffer, buffer.length, 0), 'rados_read');
    },
    trashMove: async (name) => {
      check(await librbd().trashMove(io.io, name, 0n), 'rbd_trash_move');
    },
    list: async () => (await pool.images.list(ctx, '', 100_000)).size,
    emptyTrash: async () => {
      for (const entry of await pool.images.listTrash(ctx))
        await pool.images.removeFromTrash(ctx, entry.id).catch(() => undefined);
    },
    close: async () => {
      librados().closeIo.sync(io.io);
      await librados().shutdown(io.cluster);
      await client.close();
    },
  };
}

function openIo(cluster: TestCluster, poolName: string): { cluster: Pointer; io: Pointer } {
  const handle: PointerOut = [null];
  check(librados().create.sync(handle, 'ceph', 'client.admin', 0n), 'rados_create2');
  check(librados().readConf.sync(written(handle), cluster.confPath), 'rados_conf_read_file');
  check(librados().setConf.sync(written(handle), 'rbd_cache', 'false'), 'rados_conf_set');
  check(librados().connect.sync(written(handle)), 'rados_connect');
  const io: PointerOut = [null];
  check(librados().openIo.sync(written(handle), poolName, io), 'rados_ioctx_create');
  return { cluster: written(handle), io: written(io) };
}

async function openPool(
  cluster: TestCluster,
  poolName: string,
): Promise<{ pool: CephPool; ctx: CallContext; client: ConnectionPool }> {
  const log = pino({ level: 'silent' });
  const client = new ConnectionPool({ log });
  const { signal } = new AbortController();
  setMaxListeners(0, signal); // all calls of the bench share it
  const ctx: CallContext = { signal, log, requestId: 'bench' };
  const timeouts = { connectMs: 10_000, monMs: 10_000, osdMs: 30_000 };
  const connection = await client.connect(ctx, {
    clusterId: 'bench',
    cephConf: cluster.confPath,
    user: 'admin',
    timeouts,
  });
  return { pool: await connection.pool(ctx, poolName, ''), ctx, client };
}

function check(returned: number, what: string): void {
  if (returned < 0) throw new Error(`${what} returned ${returned}`);
}
