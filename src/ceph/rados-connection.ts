import type { CallContext } from '../platform/call-context.js';
import { addToBlocklist, blocklistRefusals, removeFromBlocklist } from './blocklist.js';
import { type CephCall, cephError, errno } from './ceph-error.js';
import type {
  CephAccess,
  CephConnection,
  CephFileSystem,
  FileSystemInfo,
  CephPool,
  CephTimeouts,
  PoolCapacity,
} from './client.js';
import { CephFsMounts, type FileSystemLanes } from './cephfs-mounts.js';
import { configured } from './configure.js';
import { fileSystemRefusals } from './file-system-error.js';
import { type Pointer, type PointerOut, readBytes, readCString, written } from './native/library.js';
import { librados } from './native/librados.js';
import type { NativeLane } from './native-lane.js';
import { missingPool } from './pool-handle.js';
import { RadosPool } from './rados-pool.js';
import { sharedWait } from './shared-wait.js';

/** A native call's own timeout comes first, with the errno it deserves. */
const limitFactor = 1.2;

/** Monitors that hang don't stand in the way of calls that need OSDs alone, nor the other way round. */
export interface Lanes {
  readonly monitors: NativeLane;
  readonly osds: NativeLane;
  readonly fileSystems: FileSystemLanes;
}

/** One librados handle: connected once, used by many RPCs at the same time (librados is thread-safe). */
export class RadosConnection implements CephConnection {
  readonly clusterId: string;
  readonly user: string;
  readonly monitors: string;
  readonly address: string;
  readonly keyring: string;
  readonly #cluster: Pointer;
  readonly #lanes: Lanes;
  readonly #timeouts: CephTimeouts;
  readonly #pools = new Map<string, Promise<RadosPool>>();
  /** Handles of pools that were deleted: an RPC may still hold one. */
  readonly #stalePools: RadosPool[] = [];
  readonly #fileSystems: CephFsMounts;
  #fsid: string | undefined;
  #closing: Promise<void> | undefined;

  /** @param sessionName of this connection among all that live, and of its successor after a crash. */
  constructor(access: CephAccess, cluster: Pointer, lanes: Lanes, sessionName: string) {
    this.clusterId = access.clusterId;
    this.user = access.user;
    this.#cluster = cluster;
    this.#lanes = lanes;
    this.#timeouts = access.timeouts;
    this.monitors = configured(cluster, 'mon_host');
    this.address = ownAddress(cluster);
    this.keyring = access.key === undefined ? configured(cluster, 'keyring') : '';
    this.#fileSystems = new CephFsMounts({
      cluster,
      timeouts: access.timeouts,
      lanes: lanes.fileSystems,
      sessionName,
      describe: (doing) => this.describe(doing),
      command: async (ctx, call, command) => this.#command(ctx, call, command),
    });
  }

  async fsid(ctx: CallContext): Promise<string> {
    this.#fsid ??= await this.#lanes.monitors.run(ctx, this.describe('read the fsid'), async () => {
      const buffer = Buffer.alloc(37);
      const length = await librados().fsid(this.#cluster, buffer, buffer.length);
      if (length < 0) throw cephError(length, this.describe('read the fsid'));
      return buffer.toString('ascii', 0, length);
    });
    return this.#fsid;
  }

  async monCommand(ctx: CallContext, command: Readonly<Record<string, unknown>>): Promise<string> {
    return this.#command(ctx, this.describe(`run "${String(command.prefix)}"`), command);
  }

  async fence(ctx: CallContext, address: string): Promise<void> {
    const call = { ...this.describe(`fence the client at ${address}`), meanings: blocklistRefusals };
    await addToBlocklist(async (command) => this.#command(ctx, call, command), address);
  }

  async liftFence(ctx: CallContext, address: string): Promise<void> {
    const call = { ...this.describe(`lift the fence of the client at ${address}`), meanings: blocklistRefusals };
    await removeFromBlocklist(async (command) => this.#command(ctx, call, command), address);
  }

  async #command(ctx: CallContext, call: CephCall, command: Readonly<Record<string, unknown>>): Promise<string> {
    return this.#lanes.monitors.run(ctx, call, async () => {
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

  async checkServed(ctx: CallContext, fileSystem: string): Promise<void> {
    await this.#fileSystems.checkServed(ctx, fileSystem);
  }

  async fileSystems(ctx: CallContext): Promise<FileSystemInfo[]> {
    const call = { ...this.describe('list the file systems'), meanings: fileSystemRefusals };
    const report = JSON.parse(await this.#command(ctx, call, { prefix: 'fs ls', format: 'json' })) as {
      name: string;
      data_pools: string[];
    }[];
    return report.map(({ name, data_pools }) => ({ name, dataPools: data_pools }));
  }

  async fileSystem(ctx: CallContext, name: string, roots: readonly string[]): Promise<CephFileSystem> {
    return this.#fileSystems.get(ctx, name, roots);
  }

  async pool(ctx: CallContext, name: string, namespace: string): Promise<CephPool> {
    const key = JSON.stringify([name, namespace]);
    for (;;) {
      const opened = this.#pools.get(key) ?? this.#openPool(ctx, key, name, namespace);
      const pool = await sharedWait(
        ctx,
        this.describe(`open pool "${name}"`),
        opened,
        this.#timeouts.monMs * limitFactor,
      );
      if (!pool.stale) return pool;
      if (this.#pools.get(key) !== opened) continue;
      this.#pools.delete(key);
      this.#stalePools.push(pool);
    }
  }

  /** Lets no call in any more, waits for those under way, then frees the handle. May be called twice. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  get idleMs(): number {
    return Math.min(this.#lanes.monitors.idleMs, this.#lanes.osds.idleMs, this.#fileSystems.idleMs);
  }

  get broken(): boolean {
    return this.#lanes.monitors.broken || this.#lanes.osds.broken;
  }

  describe(doing: string): CephCall {
    return { clusterId: this.clusterId, monitors: this.monitors, user: this.user, doing };
  }

  async #close(): Promise<void> {
    // Mounted file systems use the handle's settings, and their missing ones its monitors.
    await this.#fileSystems.close();
    await Promise.all([this.#lanes.monitors.close(), this.#lanes.osds.close()]);
    const pools = await Promise.allSettled(this.#pools.values());
    for (const pool of pools) if (pool.status === 'fulfilled') pool.value.close();
    for (const pool of this.#stalePools) pool.close();
    await librados().shutdown(this.#cluster);
  }

  /** Shared by every RPC that asks for the pool meanwhile: it doesn't end with the one that began it. */
  async #openPool(ctx: CallContext, key: string, name: string, namespace: string): Promise<RadosPool> {
    const call = this.describe(`open pool "${name}"`);
    const shared = { ...ctx, signal: new AbortController().signal };
    const open = async () => {
      const io: PointerOut = [null];
      const returned = await librados().openIo(this.#cluster, name, io);
      if (returned === -errno.ENOENT) throw missingPool(this.clusterId, name);
      if (returned < 0) throw cephError(returned, call);
      if (namespace !== '') librados().setNamespace.sync(written(io), namespace);
      return new RadosPool({
        name,
        namespace,
        clusterId: this.clusterId,
        stale: false,
        cluster: this.#cluster,
        io: written(io),
        lane: this.#lanes.osds,
        describe: (doing) => this.describe(doing),
      });
    };
    // The look-up of a missing pool asks the monitors and knows no timeout: one at a time, joined by those who ask again.
    const opening = this.#lanes.monitors.run(shared, call, open, { work: 'long' });
    this.#pools.set(key, opening);
    opening.catch(() => {
      if (this.#pools.get(key) === opening) this.#pools.delete(key);
    });
    return opening;
  }
}

function ownAddress(cluster: Pointer): string {
  const out: PointerOut = [null];
  if (librados().addresses.sync(cluster, out) < 0 || out[0] === null) return '';
  const text = readCString(out[0]);
  librados().freeBuffer.sync(out[0]);
  return text;
}
