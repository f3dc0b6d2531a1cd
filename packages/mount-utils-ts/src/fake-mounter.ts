import { resolve } from 'node:path';
import type { MountContext } from './exec.js';
import { MountError } from './mount-error.js';
import { mountPointOf, searchMountPoints, type MountInfo } from './mount-info.js';
import type { BindOptions, MounterLike } from './mounter.js';

export type FakeActionName = 'mount' | 'bindMount' | 'remount' | 'unmount' | 'unmountLazy' | 'unmountDead';

export interface FakeAction {
  action: FakeActionName;
  target: string;
  source?: string;
  fsType?: string;
  options?: readonly string[];
  /** What was handed over as sensitive: the fake keeps it, so that a test can see that it arrived. */
  sensitiveOptions?: readonly string[];
}

/** A Mounter for unit tests: keeps a mount table in memory, records what was asked, fails when told to. */
export class FakeMounter implements MounterLike {
  /** Everything that changed the table, in order; failed calls too. */
  readonly actions: FakeAction[] = [];
  readonly #table: MountInfo[];
  readonly #failures = new Map<FakeActionName, Error[]>();
  #nextId = 1000;

  /** Starts with a root mount and `table`. */
  constructor(table: readonly MountInfo[] = []) {
    this.#table = [fakeEntry({ id: 1, parentId: 0, mountPoint: '/', source: 'rootfs', minor: 1 }), ...table];
  }

  /** The next call of `action` rejects with `error`; several queue up. */
  failNext(action: FakeActionName, error: Error): void {
    this.#failures.set(action, [...(this.#failures.get(action) ?? []), error]);
  }

  mount(source: string, target: string, fsType: string, options: readonly string[], ctx: MountContext = {}) {
    return this.mountSensitive(source, target, fsType, options, [], ctx);
  }

  async mountSensitive(
    source: string,
    target: string,
    fsType: string,
    options: readonly string[],
    sensitiveOptions: readonly string[],
    ctx: MountContext = {},
  ) {
    const secret = sensitiveOptions.length === 0 ? {} : { sensitiveOptions };
    await this.#record({ action: 'mount', source, target, fsType, options, ...secret }, ctx);
    // One source is one file system, except for those that have no device.
    const twin = source.startsWith('/') ? this.#table.find((entry) => entry.source === source) : undefined;
    this.#push(target, { source, fsType, minor: twin?.minor ?? this.#nextId, mountOptions: fakeFlags(options) });
  }

  async bindMount(source: string, target: string, bind: BindOptions = {}, ctx: MountContext = {}) {
    const flags = [...(bind.readOnly === true ? ['ro'] : []), ...(bind.options ?? [])];
    await this.#record({ action: 'bindMount', source, target, options: flags }, ctx);
    const mounted = mountPointOf(resolve(source), this.#table);
    const below = mounted ?? { source: 'rootfs', fsType: 'fakefs', minor: 1, root: resolve(source) };
    const { fsType, minor, root } = below;
    // As in the kernel, a bind starts with the flags of the mount that it is a bind of.
    const inherited = (mounted?.mountOptions ?? []).includes('ro') && !flags.includes('rw') ? ['ro'] : [];
    this.#push(target, {
      source: below.source,
      fsType,
      minor,
      root,
      mountOptions: fakeFlags([...inherited, ...flags]),
    });
  }

  async remount(target: string, options: readonly string[], ctx: MountContext = {}) {
    await this.#record({ action: 'remount', target, options }, ctx);
    const mounted = mountPointOf(resolve(target), this.#table);
    if (mounted === undefined) throw new MountError('Unknown', `cannot remount ${target}: nothing is mounted there`);
    mounted.mountOptions = fakeFlags(options);
  }

  async unmount(target: string, ctx: MountContext = {}) {
    await this.#record({ action: 'unmount', target }, ctx);
    this.#drop(target);
  }

  async unmountLazy(target: string, ctx: MountContext = {}) {
    await this.#record({ action: 'unmountLazy', target }, ctx);
    this.#drop(target);
  }

  async unmountDead(target: string, ctx: MountContext = {}) {
    await this.#record({ action: 'unmountDead', target }, ctx);
    this.#drop(target);
  }

  async unmountWithForce(target: string, _umountTimeoutMs: number, ctx: MountContext = {}) {
    try {
      await this.unmount(target, ctx);
    } catch (error) {
      if (!(error instanceof MountError && error.failure === 'timed-out')) throw error;
      await this.unmountLazy(target, ctx);
    }
  }

  list() {
    return Promise.resolve(structuredClone(this.#table));
  }

  getMountRefs(path: string) {
    const refs = searchMountPoints(resolve(path), this.#table);
    return Promise.resolve(refs);
  }

  isMountPoint(path: string) {
    return Promise.resolve(mountPointOf(resolve(path), this.#table) !== undefined);
  }

  async isLikelyNotMountPoint(path: string) {
    return !(await this.isMountPoint(path));
  }

  canSafelySkipMountPointCheck() {
    return true;
  }

  async #record(action: FakeAction, ctx: MountContext): Promise<void> {
    await Promise.resolve();
    ctx.signal?.throwIfAborted();
    this.actions.push(action);
    const failure = this.#failures.get(action.action)?.shift();
    if (failure !== undefined) throw failure;
  }

  #push(target: string, entry: Partial<MountInfo>): void {
    const mountPoint = resolve(target);
    const parentId = mountPointOf(mountPoint, this.#table)?.id ?? 1;
    this.#table.push(fakeEntry({ ...entry, id: this.#nextId++, parentId, mountPoint }));
  }

  #drop(target: string): void {
    const mounted = mountPointOf(resolve(target), this.#table);
    if (mounted !== undefined) this.#table.splice(this.#table.indexOf(mounted), 1);
  }
}

function fakeEntry(entry: Partial<MountInfo>): MountInfo {
  return {
    id: 0,
    parentId: 1,
    major: 0,
    minor: 0,
    root: '/',
    mountPoint: '/',
    mountOptions: ['rw', 'relatime'],
    optionalFields: [],
    fsType: 'fakefs',
    source: 'none',
    superOptions: ['rw'],
    ...entry,
  };
}

function fakeFlags(options: readonly string[]): string[] {
  const readOnly = options.includes('ro');
  return [readOnly ? 'ro' : 'rw', 'relatime', ...options.filter((option) => /^no(suid|dev|exec)$/.test(option))];
}
