import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CallContext } from '../platform/call-context.js';
import type { Logger } from '../platform/logger.js';
import type { ClusterContact } from '../platform/state-metrics.js';
import type { Secret } from '../platform/secret.js';
import type { CephCall } from './ceph-error.js';
import type { CephAccess, CephClient, CephConnection } from './client.js';
import { type ClusterGates, contactsOf } from './cluster-contacts.js';
import { ClusterGate } from './cluster-gate.js';
import { configure, configured } from './configure.js';
import { connectError } from './connect-error.js';
import { MemoryKeeper } from './memory-keeper.js';
import { librados } from './native/librados.js';
import { NativeLane } from './native-lane.js';
import { RadosConnection } from './rados-connection.js';
import { sharedWait } from './shared-wait.js';

/** Native calls under way at once per cluster: as many as a burst of RPCs profits from. */
const osdConcurrency = 16;
/** Connecting, opening pools, monitor commands: rare, and monitors that don't answer hold a thread each for monMs. */
const monitorConcurrency = 4;
/** Calls to one cluster's MDSs: an MDS that hangs holds no more threads than these. */
const fileSystemConcurrency = 16;
/** Removals of whole trees at once. */
const labourConcurrency = 8;
/** How long close() waits for calls under way; what is still under way then is left alone. */
const closeGraceMs = 5_000;
/** A retired connection gives up its locks when it is closed: soon, once nobody uses it. */
const retiredIdleMs = 5_000;
const defaultIdleMs = 10 * 60_000;

interface Entry {
  readonly call: CephCall;
  readonly connection: Promise<RadosConnection>;
  lastUsedMs: number;
}

interface Gates extends ClusterGates {
  readonly labours: ClusterGate;
}

export interface ConnectionPoolOptions {
  readonly log: Logger;
  /** A connection unused for so long is closed. */
  readonly idleMs?: number;
  /**
   * A name that this process alone has among those that live, and that its successor after a crash will have again. By it a new
   * process ends the CephFS sessions of the one that was killed; without one, the MDS waits a minute for them.
   */
  readonly sessionName?: string;
}

/** Connections by (cluster, user, key): made on first use, shared, closed when idle. */
export class ConnectionPool implements CephClient {
  readonly #entries = new Map<string, Entry>();
  readonly #retired = new Set<RadosConnection>();
  /** Every connection that is not closed yet. */
  readonly #made = new Set<RadosConnection>();
  readonly #gates = new Map<string, Gates>();
  readonly #log: Logger;
  readonly #idleMs: number;
  readonly #sessionName: string;
  readonly #sweeper: NodeJS.Timeout;
  readonly #memory = new MemoryKeeper();
  #closed = false;

  constructor(options: ConnectionPoolOptions) {
    this.#log = options.log;
    this.#idleMs = options.idleMs ?? defaultIdleMs;
    this.#sessionName = options.sessionName ?? randomUUID();
    this.#sweeper = setInterval(
      () => {
        this.#sweep();
      },
      Math.min(this.#idleMs, retiredIdleMs),
    );
    this.#sweeper.unref();
  }

  async connect(ctx: CallContext, access: CephAccess): Promise<CephConnection> {
    const key = identity(access);
    for (;;) {
      const entry = this.#entries.get(key) ?? this.#open(ctx, key, access);
      entry.lastUsedMs = Date.now();
      // The attempt is everybody's: it outlives the RPC that began it, and the next one finds the connection made.
      const connection = await sharedWait(ctx, entry.call, entry.connection, access.timeouts.connectMs * 2);
      if (!connection.broken) return connection;
      this.#retire(key, entry, connection);
    }
  }

  /** What is known of the clusters that were asked anything, from the calls that were made; asks nothing itself. */
  contacts(): ClusterContact[] {
    this.#forgetClosed();
    return contactsOf([...this.#gates.values()], [...this.#made]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    this.#memory.close();
    const opened = [...this.#entries.values()].map(async ({ connection }) => (await connection).close());
    const retired = [...this.#retired].map(async (connection) => connection.close());
    this.#entries.clear();
    await Promise.race([Promise.allSettled([...opened, ...retired]), sleep(closeGraceMs, undefined, { ref: false })]);
  }

  #open(ctx: CallContext, key: string, access: CephAccess): Entry {
    const cluster = configure(access);
    const call: CephCall = {
      clusterId: access.clusterId,
      monitors: configured(cluster, 'mon_host'),
      user: access.user,
      doing: `connect as client.${access.user}`,
    };
    const attempt = { ...ctx, signal: new AbortController().signal };
    const gates = this.#gatesOf(access.clusterId, call.monitors);
    const { connectMs, monMs, osdMs } = access.timeouts;
    const onUse = () => {
      this.#memory.used();
    };
    let began = false;
    const connecting = new NativeLane({ gate: gates.monitors, nativeTimeoutMs: connectMs, onUse });
    const connection = connecting
      .run(attempt, call, async () => {
        began = true;
        const returned = await librados().connect(cluster);
        if (returned < 0) {
          const error = await connectError(returned, call, access, configured(cluster, 'keyring'));
          await librados().shutdown(cluster);
          throw error;
        }
        const lanes = {
          monitors: new NativeLane({ gate: gates.monitors, nativeTimeoutMs: monMs, onUse }),
          osds: new NativeLane({ gate: gates.osds, nativeTimeoutMs: Math.max(monMs, osdMs), onUse }),
          fileSystems: { calls: gates.fileSystems, labours: gates.labours, onUse },
        };
        return new RadosConnection(access, cluster, lanes, this.#sessionOf(access));
      })
      .catch((error: unknown) => {
        if (!began) void librados().shutdown(cluster);
        throw error;
      });
    const entry: Entry = { call, connection, lastUsedMs: Date.now() };
    this.#entries.set(key, entry);
    connection.then(
      (made) => {
        this.#log.info({ cluster: access.clusterId, user: access.user, address: made.address }, 'connected to Ceph');
        this.#made.add(made);
        if (this.#closed) void made.close();
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return entry;
  }

  /** The same after a restart with other monitors or timeouts. */
  #sessionOf({ clusterId, user, key }: CephAccess): string {
    return JSON.stringify([this.#sessionName, clusterId, user, hashOf(key)]);
  }

  #gatesOf(clusterId: string, monitors: string): Gates {
    const key = JSON.stringify([clusterId, monitors]);
    const gates = this.#gates.get(key) ?? {
      clusterId,
      monitors: new ClusterGate(monitorConcurrency),
      osds: new ClusterGate(osdConcurrency),
      fileSystems: new ClusterGate(fileSystemConcurrency),
      labours: new ClusterGate(labourConcurrency),
    };
    this.#gates.set(key, gates);
    return gates;
  }

  /** RPCs that still hold the broken connection end with its errors; it is closed when they have. */
  #retire(key: string, entry: Entry, connection: RadosConnection): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    if (connection.closed || this.#retired.has(connection)) return;
    this.#retired.add(connection);
    this.#log.warn(
      { cluster: connection.clusterId, user: connection.user, address: connection.address },
      'this connection was refused something, is on the blocklist or was cut off while it held a lock: connecting anew',
    );
  }

  #forgetClosed(): void {
    for (const connection of this.#made) if (connection.closed) this.#made.delete(connection);
  }

  #sweep(): void {
    this.#forgetClosed();
    for (const connection of this.#retired) {
      if (connection.idleMs < Math.min(this.#idleMs, retiredIdleMs)) continue;
      this.#retired.delete(connection);
      void connection.close();
    }
    for (const [key, entry] of this.#entries) {
      if (Date.now() - entry.lastUsedMs >= this.#idleMs) void this.#closeIfIdle(key, entry);
    }
  }

  async #closeIfIdle(key: string, entry: Entry): Promise<void> {
    const connection = await entry.connection.catch(() => undefined);
    const usedNow = Date.now() - entry.lastUsedMs < this.#idleMs;
    if (connection === undefined || usedNow || connection.idleMs < this.#idleMs) return;
    if (this.#entries.get(key) !== entry) return;
    this.#entries.delete(key);
    this.#log.info({ cluster: connection.clusterId, user: connection.user }, 'closing an idle connection to Ceph');
    await connection.close();
  }
}

/** Never holds the key itself: the map's keys may end up in a heap dump's strings, hashes may. */
function identity(access: CephAccess): string {
  const { key, ...rest } = access;
  return JSON.stringify([
    rest.clusterId,
    rest.user,
    hashOf(key),
    rest.monitors,
    rest.cephConf,
    rest.keyring,
    rest.timeouts,
  ]);
}

function hashOf(key: Secret | undefined): string {
  return key === undefined ? '' : createHash('sha256').update(key.reveal()).digest('hex');
}
