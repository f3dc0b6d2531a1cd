import { createHash } from 'node:crypto';
import type { CallContext } from '../platform/call-context.js';
import { type CephCall, CephError, cephError, errno, type Meaning } from './ceph-error.js';
import type { CephTimeouts } from './client.js';
import { CephFsCache } from './cephfs-cache.js';
import { CephFsMount } from './cephfs-mount.js';
import { MountedFileSystem } from './cephfs-file-system.js';
import { checkServed, type MdsReport } from './cephfs-state.js';
import type { ClusterGate } from './cluster-gate.js';
import { fileSystemMeanings, fileSystemRefusals } from './file-system-error.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { libcephfs } from './native/libcephfs.js';
import { NativeLane } from './native-lane.js';
import { sharedWait } from './shared-wait.js';

/** A native call's own timeout comes first, with the errno it deserves. */
const limitFactor = 1.2;
/** Errors of a root that is not for this key, or not there: the next one is tried. */
const nextRoot: readonly number[] = [errno.EACCES, errno.EPERM, errno.ENOENT];

/** The gates of all connections to one cluster, and what is told when a job ends. */
export interface FileSystemLanes {
  /** For single calls. */
  readonly calls: ClusterGate;
  /** For work of many calls, each of which passes the gate above. */
  readonly labours: ClusterGate;
  readonly onUse: () => void;
}

export interface MountsOptions {
  readonly cluster: Pointer;
  readonly timeouts: CephTimeouts;
  readonly lanes: FileSystemLanes;
  /** Of this connection among all that live, and of its successor after a crash: see takeOver(). */
  readonly sessionName: string;
  readonly describe: (doing: string) => CephCall;
  /** Runs a monitor command. */
  readonly command: (ctx: CallContext, call: CephCall, command: Readonly<Record<string, unknown>>) => Promise<string>;
}

/** How long a root that is not for this key is not tried again, once another one has worked. */
const refusedForMs = 60_000;

/** The file systems that are mounted on one connection, each root of each once. */
export class CephFsMounts {
  readonly #options: MountsOptions;
  readonly #mounts = new Map<string, Promise<MountedFileSystem | CephError>>();
  /** Also those whose session has ended, until they are closed. */
  readonly #mounted = new Set<MountedFileSystem>();
  /** When a root was refused, by the same key. */
  readonly #refused = new Map<string, number>();
  #cache: CephFsCache | undefined;
  #closed = false;

  constructor(options: MountsOptions) {
    this.#options = options;
  }

  async get(ctx: CallContext, name: string, roots: readonly string[]): Promise<MountedFileSystem> {
    const candidates = roots.filter((root) => !this.#isRefused(keyOf(name, root)));
    let failure: CephError | undefined;
    for (const root of candidates.length > 0 ? candidates : roots) {
      const outcome = await this.#mountedAt(ctx, name, root);
      if (!(outcome instanceof CephError)) {
        // From now on, the ones before it needn't be tried.
        const before = roots.slice(0, roots.indexOf(root));
        for (const other of before)
          if (!this.#isRefused(keyOf(name, other))) this.#refused.set(keyOf(name, other), Date.now());
        return outcome;
      }
      failure = outcome;
    }
    throw failure ?? new RangeError('no root to mount was named');
  }

  /** Infinity when nothing is mounted. */
  get idleMs(): number {
    return Math.min(...[...this.#mounted].map((mounted) => mounted.idleMs));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#mounts.values());
    this.#cache?.close();
    await Promise.all([...this.#mounted].map(async (mounted) => mounted.close()));
  }

  #isRefused(key: string): boolean {
    return Date.now() - (this.#refused.get(key) ?? -Infinity) < refusedForMs;
  }

  /** @returns the error when another root may be tried. */
  async #mountedAt(ctx: CallContext, name: string, root: string): Promise<MountedFileSystem | CephError> {
    const key = keyOf(name, root);
    const call = mountCall(this.#describe(name, `mount ${root} of file system "${name}"`));
    for (;;) {
      if (this.#closed) throw cephError(-errno.ENOTCONN, call);
      const mounting = this.#mounts.get(key) ?? this.#open(ctx, call, name, root);
      const mounted = await sharedWait(ctx, call, mounting, this.#options.timeouts.connectMs * limitFactor);
      if (mounted instanceof CephError || !mounted.stale) return mounted;
      if (this.#mounts.get(key) !== mounting) continue;
      this.#mounts.delete(key);
      // Whoever still holds it is told to repeat the request.
      void mounted.close().finally(() => this.#mounted.delete(mounted));
    }
  }

  /** Shared by every RPC that asks meanwhile: it doesn't end with the one that began it. */
  async #open(ctx: CallContext, call: CephCall, name: string, root: string): Promise<MountedFileSystem | CephError> {
    const { lanes, timeouts } = this.#options;
    const { calls, labours, onUse } = lanes;
    const shared = { ...ctx, signal: new AbortController().signal };
    const lane = new NativeLane({ gate: calls, nativeTimeoutMs: timeouts.connectMs, onUse });
    const key = keyOf(name, root);
    const mountOnce = async (): Promise<MountedFileSystem | CephError> => {
      await this.checkServed(shared, name);
      // It knows no timeout of its own while an MDS is silent: one at a time, joined by those who ask again.
      const outcome = await lane.run(shared, call, async () => this.#mount(call, key, name, root), { work: 'long' });
      if (outcome instanceof CephError) {
        this.#mounts.delete(key);
        return outcome;
      }
      const nativeTimeoutMs = Math.max(timeouts.monMs, timeouts.osdMs);
      const meanings = fileSystemMeanings(name);
      const mounted = new MountedFileSystem(
        new CephFsMount({
          fileSystem: name,
          root,
          handle: outcome,
          gate: calls,
          calls: new NativeLane({ gate: calls, nativeTimeoutMs, onUse }),
          labours: new NativeLane({ gate: labours, nativeTimeoutMs, onUse }),
          silenceMs: nativeTimeoutMs * limitFactor,
          describe: (doing) => ({ ...this.#options.describe(doing), meanings }),
        }),
      );
      this.#mounted.add(mounted);
      this.#cache ??= new CephFsCache(this.#options.cluster, () => this.idleMs);
      return mounted;
    };
    const mounting = mountOnce();
    this.#mounts.set(key, mounting);
    mounting.catch(() => {
      if (this.#mounts.get(key) === mounting) this.#mounts.delete(key);
    });
    return mounting;
  }

  /** A mount of what no MDS serves would hang. @throws CephError NOT_FOUND, UNAVAILABLE. */
  async checkServed(ctx: CallContext, name: string): Promise<void> {
    const asking = { ...this.#options.describe(`find file system "${name}"`), meanings: fileSystemRefusals };
    const report = await this.#options.command(ctx, asking, { prefix: 'mds stat', format: 'json' });
    checkServed(JSON.parse(report) as MdsReport, name, asking);
  }

  /** @returns the error when another root may be tried. Runs inside a job. */
  async #mount(call: CephCall, key: string, name: string, root: string): Promise<Pointer | CephError> {
    const session = createHash('sha256')
      .update(JSON.stringify([this.#options.sessionName, key]))
      .digest('hex');
    await this.#takeOver(call, name, session);
    const handle = await this.#handle(call, name);
    libcephfs().setUuid.sync(handle, session);
    const returned = await libcephfs().mount(handle, root);
    if (returned >= 0) {
      // With access control lists the library applies its own, 002, to every mode.
      libcephfs().umask.sync(handle, 0);
      return handle;
    }
    await libcephfs().release(handle);
    const error = cephError(returned, call);
    if (nextRoot.includes(error.errno)) return error;
    throw error;
  }

  /**
   * Ends the session of a predecessor that was killed, or of a mount of ours that was given up half-way. It holds capabilities
   * on the directories that it has touched, the parents of all volumes among them, and the MDS would let everybody else wait for
   * it for a minute (session_timeout).
   */
  async #takeOver(call: CephCall, name: string, session: string): Promise<void> {
    const handle = await this.#handle(call, name);
    const reset = 1; // libcephfs.h, CEPH_RECLAIM_RESET
    await libcephfs().startReclaim(handle, session, reset); // ENOENT, mostly: there is none
    await libcephfs().release(handle);
  }

  /** An initialised, not yet mounted handle. */
  async #handle(call: CephCall, name: string): Promise<Pointer> {
    const cephfs = libcephfs();
    const out: PointerOut = [null];
    const created = cephfs.createFromRados.sync(out, this.#options.cluster);
    if (created < 0) throw cephError(created, call);
    const handle = written(out);
    const returned = await cephfs.init(handle);
    if (returned < 0) {
      await cephfs.release(handle);
      throw cephError(returned, call);
    }
    cephfs.selectFileSystem.sync(handle, name);
    return handle;
  }

  #describe(name: string, doing: string): CephCall {
    return { ...this.#options.describe(doing), meanings: fileSystemMeanings(name) };
  }
}

function mountCall(call: CephCall): CephCall {
  const missing: Meaning = {
    code: 'NOT_FOUND',
    sentence: ({ user }) =>
      `that directory does not exist: make it or correct the root (client.${user} gets the same answer when its mon capability is for another file system)`,
  };
  return { ...call, meanings: new Map([...(call.meanings ?? []), [errno.ENOENT, missing]]) };
}

function keyOf(name: string, root: string): string {
  return JSON.stringify([name, root]);
}
