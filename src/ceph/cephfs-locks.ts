import type { CallContext } from '../platform/call-context.js';
import { errno } from './ceph-error.js';
import type { CephFsMount } from './cephfs-mount.js';
import { constants } from 'node:fs';
import { flockOperation, libcephfs } from './native/libcephfs.js';

interface Held {
  readonly fd: number;
  readonly owner: number;
  readonly release: () => void;
  /** Whether somebody was told so: a lock that came after its caller had gone is the next caller's. */
  told: boolean;
}

/** Advisory locks on files, each with an owner of its own, so that two takers in this process exclude each other too. */
export class FileLocks {
  readonly #mount: CephFsMount;
  readonly #held = new Map<string, Held>();
  #lastOwner = 0;

  constructor(mount: CephFsMount) {
    this.#mount = mount;
  }

  async lock(ctx: CallContext, path: string): Promise<boolean> {
    const doing = `lock ${path}`;
    const local = this.#mount.path(path);
    const taken = await this.#mount.run(ctx, doing, async () => {
      const held = this.#held.get(path);
      if (held !== undefined) return held.told ? undefined : held;
      return this.#take(local, path, doing);
    });
    if (taken === undefined || taken.told) return false;
    taken.told = true;
    return true;
  }

  async unlock(ctx: CallContext, path: string): Promise<void> {
    const doing = `unlock ${path}`;
    await this.#mount.run(ctx, doing, async () => {
      const held = this.#held.get(path);
      if (held === undefined) return;
      const { handle } = this.#mount;
      const returned = await libcephfs().lock(handle, held.fd, flockOperation.unlock, held.owner);
      this.#mount.check(returned, doing);
      this.#held.delete(path);
      held.release();
      await libcephfs().close(handle, held.fd);
    });
  }

  async #take(local: string, path: string, doing: string): Promise<Held | undefined> {
    const { handle } = this.#mount;
    const flags = constants.O_RDWR | constants.O_CREAT;
    const fd = this.#mount.check(await libcephfs().open(handle, local, flags, 0o600), doing);
    // An MDS that dies before it has written down that the file exists would forget the lock with it.
    await libcephfs().sync(handle, fd, 0);
    const owner = ++this.#lastOwner;
    const returned = await libcephfs().lock(handle, fd, flockOperation.exclusiveNonBlocking, owner);
    if (returned < 0) {
      await libcephfs().close(handle, fd);
      if (returned === -errno.EWOULDBLOCK) return undefined;
      this.#mount.check(returned, doing);
    }
    const held = { fd, owner, release: this.#mount.hold(), told: false };
    this.#held.set(path, held);
    return held;
  }
}
