import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import type { CallContext } from '../platform/call-context.js';
import { type CephCall, CephError, cephError, errno } from './ceph-error.js';
import type { CephAccess, CephClient, CephConnection } from './client.js';
import { librados } from './native/librados.js';
import { NativeLane } from './native-lane.js';
import { configure, configured, RadosConnection } from './rados-connection.js';

interface Entry {
  readonly connection: Promise<RadosConnection>;
  lastUsedMs: number;
}

export interface ConnectionPoolOptions {
  readonly log: Logger;
  /** A connection unused for so long is closed. */
  readonly idleMs?: number;
}

/** Connections by (cluster, user, key): made on first use, shared, closed when idle. */
export class ConnectionPool implements CephClient {
  readonly #entries = new Map<string, Entry>();
  readonly #log: Logger;
  readonly #idleMs: number;
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: ConnectionPoolOptions) {
    this.#log = options.log;
    this.#idleMs = options.idleMs ?? 10 * 60_000;
    this.#sweeper = setInterval(() => void this.#closeIdle(), Math.min(this.#idleMs, 60_000));
    this.#sweeper.unref();
  }

  async connect(ctx: CallContext, access: CephAccess): Promise<CephConnection> {
    const key = identity(access);
    const entry = this.#entries.get(key) ?? this.#open(ctx, key, access);
    entry.lastUsedMs = Date.now();
    const connection = await entry.connection;
    if (!connection.broken) return connection;
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    // The RPCs that still hold the broken handle end within their deadlines; it is freed long after.
    setTimeout(() => void connection.close(), this.#idleMs).unref();
    return this.connect(ctx, access);
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.allSettled(entries.map(async ({ connection }) => (await connection).close()));
  }

  #open(ctx: CallContext, key: string, access: CephAccess): Entry {
    const entry: Entry = { connection: open(ctx, access), lastUsedMs: Date.now() };
    this.#entries.set(key, entry);
    entry.connection.then(
      (connection) => {
        this.#log.info(
          { cluster: access.clusterId, user: access.user, address: connection.address },
          'connected to Ceph',
        );
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return entry;
  }

  async #closeIdle(): Promise<void> {
    for (const [key, entry] of this.#entries) {
      if (Date.now() - entry.lastUsedMs < this.#idleMs) continue;
      const connection = await entry.connection.catch(() => undefined);
      if (connection === undefined || !connection.idle || Date.now() - entry.lastUsedMs < this.#idleMs) continue;
      this.#entries.delete(key);
      this.#log.info({ cluster: connection.clusterId, user: connection.user }, 'closing an idle connection to Ceph');
      await connection.close();
    }
  }
}

async function open(ctx: CallContext, access: CephAccess): Promise<RadosConnection> {
  const cluster = configure(access);
  const lane = new NativeLane();
  const call: CephCall = {
    clusterId: access.clusterId,
    monitors: configured(cluster, 'mon_host'),
    user: access.user,
    doing: `connect as client.${access.user}`,
  };
  return lane.run(ctx, call, async () => {
    const returned = await librados().connect(cluster);
    if (returned >= 0) return new RadosConnection(access, cluster, lane);
    await librados().shutdown(cluster);
    throw connectError(returned, call);
  });
}

function connectError(returned: number, call: CephCall): CephError {
  const where = `cluster "${call.clusterId}"`;
  switch (-returned) {
    case errno.EACCES:
    case errno.EPERM:
      return new CephError(
        'UNAUTHENTICATED',
        `${where} refuses client.${call.user}: the key is wrong or the user does not exist (compare: ceph auth get client.${call.user}); correct userID and userKey in the Secret`,
        -returned,
      );
    case errno.ENOENT:
    case errno.EOPNOTSUPP:
    case errno.EINVAL:
      return new CephError(
        'UNAUTHENTICATED',
        `there is no usable key for client.${call.user} of ${where}: give userID and userKey in the Secret, or a keyring for the cluster in the driver's configuration`,
        -returned,
      );
    default:
      return cephError(returned, call);
  }
}

/** Never holds the key itself: the map's keys may end up in a heap dump's strings, hashes may. */
function identity(access: CephAccess): string {
  const { key, ...rest } = access;
  const keyHash = key === undefined ? '' : createHash('sha256').update(key.reveal()).digest('hex');
  return JSON.stringify([
    rest.clusterId,
    rest.user,
    keyHash,
    rest.monitors,
    rest.cephConf,
    rest.keyring,
    rest.timeouts,
  ]);
}
