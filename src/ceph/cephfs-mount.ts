import type { CallContext } from '../platform/call-context.js';
import { type CephCall, cephError, errno, isCephError } from './ceph-error.js';
import type { ClusterGate } from './cluster-gate.js';
import { pathBelowRoot } from './file-system-path.js';
import type { Pointer } from './native/library.js';
import { libcephfs } from './native/libcephfs.js';
import type { NativeLane, RunOptions } from './native-lane.js';

export interface MountParts {
  readonly fileSystem: string;
  readonly root: string;
  readonly handle: Pointer;
  readonly gate: ClusterGate;
  /** For calls, each of which has its place at the gate. */
  readonly calls: NativeLane;
  /** For work that lasts, whose single calls pass the gate one by one. */
  readonly labours: NativeLane;
  /** A call that takes longer, in milliseconds, counts as unanswered. */
  readonly silenceMs: number;
  readonly describe: (doing: string) => CephCall;
}

/** One mounted file system: what its operations share. */
export class CephFsMount {
  readonly fileSystem: string;
  readonly root: string;
  readonly handle: Pointer;
  /** The user that calls are made as. */
  readonly permissions: Pointer;
  readonly silenceMs: number;
  readonly describe: (doing: string) => CephCall;
  readonly #parts: MountParts;
  #holds = 0;
  #ended = false;
  #closing: Promise<void> | undefined;

  constructor(parts: MountParts) {
    this.fileSystem = parts.fileSystem;
    this.root = parts.root;
    this.handle = parts.handle;
    this.describe = parts.describe;
    this.silenceMs = parts.silenceMs;
    this.permissions = libcephfs().permissions(parts.handle);
    this.#parts = parts;
  }

  /** The MDS has ended this client's session: nothing will work on this mount any more. */
  get stale(): boolean {
    return this.#ended;
  }

  get idleMs(): number {
    return this.#holds > 0 ? 0 : Math.min(this.#parts.calls.idleMs, this.#parts.labours.idleMs);
  }

  /** @throws CephError EINVAL, EACCES: not below the mounted root. */
  path(path: string): string {
    return pathBelowRoot(this.fileSystem, this.root, path);
  }

  async run<T>(ctx: CallContext, doing: string, job: () => Promise<T>, options?: RunOptions): Promise<T> {
    return this.#parts.calls.run(ctx, this.describe(doing), async () => this.#observe(job), options);
  }

  /** Like run(), for a job that makes its calls by enter(). */
  async labour<T>(ctx: CallContext, doing: string, job: () => Promise<T>): Promise<T> {
    return this.#parts.labours.run(ctx, this.describe(doing), async () => this.#observe(job), { work: 'long' });
  }

  /** One native call of a labour. */
  async enter<T>(call: () => Promise<T>): Promise<T> {
    return this.#parts.gate.enter(call);
  }

  check(returned: number, doing: string): number {
    if (returned < 0) throw cephError(returned, this.describe(doing));
    return returned;
  }

  /** While something is held, the connection doesn't count as idle. @returns what ends it. */
  hold(): () => void {
    this.#holds += 1;
    return () => {
      this.#holds -= 1;
    };
  }

  /** Lets nothing in any more, waits for what is under way, and unmounts; with a silent MDS, only when it speaks again. May be called twice. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([this.#parts.calls.close(), this.#parts.labours.close()]);
    await this.enter(async () => libcephfs().unmount(this.handle));
    await libcephfs().release(this.handle);
  }

  async #observe<T>(job: () => Promise<T>): Promise<T> {
    try {
      return await job();
    } catch (error) {
      if (isCephError(error, errno.EBLOCKLISTED) || isCephError(error, errno.ENOTCONN)) this.#ended = true;
      throw error;
    }
  }
}
