import { DriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import { type CephCall, CephError, cephError, errno } from './ceph-error.js';
import type { CephAccess, CephConnection, CephPool, PoolCapacity } from './client.js';
import { type Pointer, type PointerOut, readBytes, readCString, written } from './native/library.js';
import { librados } from './native/librados.js';
import { NativeLane } from './native-lane.js';
import { RadosPool } from './rados-pool.js';

/** One librados handle: connected once, used by many RPCs at the same time (librados is thread-safe). */
export class RadosConnection implements CephConnection {
  readonly clusterId: string;
  readonly user: string;
  readonly monitors: string;
  readonly address: string;
  readonly keyring: string;
  readonly #cluster: Pointer;
  readonly #lane: NativeLane;
  readonly #pools = new Map<string, Promise<RadosPool>>();
  #fsid: string | undefined;

  constructor(access: CephAccess, cluster: Pointer, lane: NativeLane) {
    this.clusterId = access.clusterId;
    this.user = access.user;
    this.#cluster = cluster;
    this.#lane = lane;
    this.monitors = configured(cluster, 'mon_host');
    this.address = ownAddress(cluster);
    this.keyring = access.key === undefined ? configured(cluster, 'keyring') : '';
  }

  async fsid(ctx: CallContext): Promise<string> {
    this.#fsid ??= await this.#lane.run(ctx, this.describe('read the fsid'), async () => {
      const buffer = Buffer.alloc(37);
      const length = await librados().fsid(this.#cluster, buffer, buffer.length);
      if (length < 0) throw cephError(length, this.describe('read the fsid'));
      return buffer.toString('ascii', 0, length);
    });
    return this.#fsid;
  }

  async monCommand(ctx: CallContext, command: Readonly<Record<string, unknown>>): Promise<string> {
    const call = this.describe(`run "${String(command.prefix)}"`);
    return this.#lane.run(ctx, call, async () => {
      const output: PointerOut = [null];
      const outputLength = [0];
      const status: PointerOut = [null];
      const statusLength = [0];
      const rados = librados();
      const returned = await rados.monCommand(
        this.#cluster,
        [JSON.stringify(command)],
        1,
        null,
        0,
        output,
        outputLength as unknown as PointerOut,
        status,
        statusLength as unknown as PointerOut,
      );
      try {
        if (returned < 0) throw cephError(returned, call);
        return output[0] === null ? '' : readBytes(output[0], outputLength[0] ?? 0).toString('utf8');
      } finally {
        for (const buffer of [output[0], status[0]]) if (buffer !== null) rados.freeBuffer.sync(buffer);
      }
    });
  }

  async poolCapacities(ctx: CallContext): Promise<PoolCapacity[]> {
    const report = JSON.parse(await this.monCommand(ctx, { prefix: 'df', format: 'json' })) as {
      pools: { name: string; stats: { max_avail: number } }[];
    };
    return report.pools.map(({ name, stats }) => ({ name, availableBytes: BigInt(Math.trunc(stats.max_avail)) }));
  }

  async poolsOfApplication(ctx: CallContext, application: string): Promise<string[]> {
    const report = JSON.parse(await this.monCommand(ctx, { prefix: 'osd dump', format: 'json' })) as {
      pools: { pool_name: string; application_metadata: Record<string, unknown> }[];
    };
    return report.pools.filter((pool) => application in pool.application_metadata).map((pool) => pool.pool_name);
  }

  async pool(ctx: CallContext, name: string, namespace: string): Promise<CephPool> {
    const key = `${name}/${namespace}`;
    const opened = this.#pools.get(key) ?? this.#openPool(ctx, name, namespace);
    this.#pools.set(key, opened);
    try {
      const pool = await opened;
      if (!pool.stale) return pool;
    } catch (error) {
      this.#forget(key, opened);
      throw error;
    }
    this.#forget(key, opened);
    return this.pool(ctx, name, namespace);
  }

  /** Nothing may use the connection afterwards. */
  async close(): Promise<void> {
    const pools = await Promise.allSettled(this.#pools.values());
    for (const pool of pools) if (pool.status === 'fulfilled') pool.value.close();
    await librados().shutdown(this.#cluster);
  }

  get idle(): boolean {
    return this.#lane.idle;
  }

  get broken(): boolean {
    return this.#lane.broken;
  }

  describe(doing: string): CephCall {
    return { clusterId: this.clusterId, monitors: this.monitors, user: this.user, doing };
  }

  async #openPool(ctx: CallContext, name: string, namespace: string): Promise<RadosPool> {
    const call = this.describe(`open pool "${name}"`);
    return this.#lane.run(ctx, call, async () => {
      const io: PointerOut = [null];
      const returned = await librados().openIo(this.#cluster, name, io);
      if (returned === -errno.ENOENT) {
        throw new CephError(
          'NOT_FOUND',
          `pool "${name}" does not exist in cluster "${this.clusterId}": correct the pool in the StorageClass or create it (ceph osd pool create ${name}; rbd pool init ${name})`,
          errno.ENOENT,
        );
      }
      if (returned < 0) throw cephError(returned, call);
      if (namespace !== '') librados().setNamespace.sync(written(io), namespace);
      return new RadosPool({
        name,
        namespace,
        cluster: this.#cluster,
        io: written(io),
        lane: this.#lane,
        describe: (doing) => this.describe(doing),
      });
    });
  }

  #forget(key: string, opened: Promise<RadosPool>): void {
    if (this.#pools.get(key) === opened) this.#pools.delete(key);
  }
}

/** The value that librados holds for an option; '' when it has none. */
export function configured(cluster: Pointer, option: string): string {
  const buffer = Buffer.alloc(4096);
  if (librados().getConf.sync(cluster, option, buffer, buffer.length) < 0) return '';
  return buffer.toString('utf8', 0, buffer.indexOf(0));
}

function ownAddress(cluster: Pointer): string {
  const out: PointerOut = [null];
  if (librados().addresses.sync(cluster, out) < 0 || out[0] === null) return '';
  const text = readCString(out[0]);
  librados().freeBuffer.sync(out[0]);
  return text;
}

/** Makes a configured, not yet connected handle. @throws DriverError naming the option or file that is wrong. */
export function configure(access: CephAccess): Pointer {
  const rados = librados();
  const out: PointerOut = [null];
  const returned = rados.create.sync(out, 'ceph', `client.${access.user}`, 0n);
  if (returned < 0) throw new DriverError('INTERNAL', `librados can't be initialised (${returned})`);
  const cluster = written(out);
  try {
    if (access.cephConf !== undefined) readCephConf(cluster, access.cephConf);
    for (const [option, value] of settings(access)) {
      // The value may be a key: it is never part of the message.
      if (rados.setConf.sync(cluster, option, value) < 0) {
        throw new DriverError(
          'INVALID_ARGUMENT',
          `librados refuses the value of ${option} for cluster "${access.clusterId}"`,
        );
      }
    }
    if (configured(cluster, 'mon_host') === '') {
      throw new DriverError(
        'INVALID_ARGUMENT',
        `cluster "${access.clusterId}" has no monitors: set \`monitors\` or a cephConf with mon_host`,
      );
    }
    return cluster;
  } catch (error) {
    rados.shutdown.sync(cluster);
    throw error;
  }
}

function readCephConf(cluster: Pointer, path: string): void {
  const returned = librados().readConf.sync(cluster, path);
  if (returned >= 0) return;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `${path} can't be read as a ceph.conf (errno ${-returned}): create it, or list the cluster's monitors in the driver's --config file`,
  );
}

function* settings(access: CephAccess): Generator<[string, string]> {
  const seconds = (ms: number) => String(Math.max(1, Math.ceil(ms / 1000)));
  if (access.monitors !== undefined) yield ['mon_host', access.monitors];
  if (access.keyring !== undefined) yield ['keyring', access.keyring];
  if (access.key !== undefined) yield ['key', access.key.reveal()];
  yield ['client_mount_timeout', seconds(access.timeouts.connectMs)];
  yield ['rados_mon_op_timeout', seconds(access.timeouts.monMs)];
  yield ['rados_osd_op_timeout', seconds(access.timeouts.osdMs)];
  // A library inside the driver opens no sockets and no log files of its own.
  yield ['admin_socket', ''];
  yield ['log_file', ''];
  yield ['log_to_stderr', 'false'];
  yield ['err_to_stderr', 'false'];
  // Control-plane opens read no data worth caching.
  yield ['rbd_cache', 'false'];
}
