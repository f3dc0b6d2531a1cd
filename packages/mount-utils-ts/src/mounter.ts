import { realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { forgetProbes } from './corrupted-mount.js';
import { execOptionsOf, succeeded, type Exec, type ExecResult, type MountContext } from './exec.js';
import { handOverInFstab, type HandOverPlaces } from './hand-over-in-fstab.js';
import { MountError, programError } from './mount-error.js';
import { mountPointOf, readMountInfo, searchMountPoints, type MountInfo } from './mount-info.js';
import { bindFlags, flagsToKeep } from './mount-options.js';
import { isAbsent, resolveParent } from './path-within-base.js';

export interface BindOptions {
  readOnly?: boolean | undefined;
  /** Flags of the new mount, such as `noexec`. Flags of the source (nosuid...) are kept. */
  options?: readonly string[] | undefined;
}

/** What Mounter and FakeMounter share. Every call rejects with MountError, or with what node:fs says. */
export interface MounterLike {
  /** `mount -t fsType -o options source target`. `fsType` may be empty: mount(8) then finds out. */
  mount(source: string, target: string, fsType: string, options: readonly string[], ctx?: MountContext): Promise<void>;
  /** Like mount; `sensitiveOptions` reach neither an argv nor an error text, or the call is refused. */
  mountSensitive(
    source: string,
    target: string,
    fsType: string,
    options: readonly string[],
    sensitiveOptions: readonly string[],
    ctx?: MountContext,
  ): Promise<void>;
  /**
   * Two steps, because the kernel ignores every flag of a first bind (mount(8), "Bind mount operation"). A failing
   * second step undoes the first. A process killed between the two leaves a writable bind: a caller that finds a mount
   * at the target must look at its `mountOptions` before it calls the work done.
   */
  bindMount(source: string, target: string, bind?: BindOptions, ctx?: MountContext): Promise<void>;
  /** Changes the options of the mount at `target`; per-mount flags that `options` does not name stay as they are. */
  remount(target: string, options: readonly string[], ctx?: MountContext): Promise<void>;
  /** Unmounts the topmost mount at `target`. Nothing mounted there is fine. */
  unmount(target: string, ctx?: MountContext): Promise<void>;
  /** Detaches the topmost mount at once and lets the kernel clean up when its last user is gone: umount(8) --lazy. */
  unmountLazy(target: string, ctx?: MountContext): Promise<void>;
  /**
   * unmountLazy for a file system that nobody serves any more: what waits for it fails at once, under its other mounts too
   * (umount2(2), MNT_FORCE). Without, what waits may keep waiting when the mount is long gone.
   */
  unmountDead(target: string, ctx?: MountContext): Promise<void>;
  /** unmount, and unmountLazy when that has not ended after `umountTimeoutMs`. */
  unmountWithForce(target: string, umountTimeoutMs: number, ctx?: MountContext): Promise<void>;
  list(): Promise<MountInfo[]>;
  /** The other mount points that show the same directory or file as `path`; none for an absent path. */
  getMountRefs(path: string): Promise<string[]>;
  /** What the mount table says: exact for bind mounts, never asks the mounted file system, false for an absent path. */
  isMountPoint(path: string): Promise<boolean>;
  /** Compares device numbers by stat(2): one call, but blind to bind mounts within one file system, and it may hang. */
  isLikelyNotMountPoint(path: string): Promise<boolean>;
  /** True: unmount looks at the mount table itself, so a caller need not check first. */
  canSafelySkipMountPointCheck(): boolean;
}

export interface MounterDependencies extends HandOverPlaces {
  exec: Exec;
  readTable?: (() => Promise<MountInfo[]>) | undefined;
}

/** mount(8) and umount(8) of util-linux, run through the injected exec, judged by exit code and mount table. */
export class Mounter implements MounterLike {
  readonly #exec: Exec;
  readonly #readTable: () => Promise<MountInfo[]>;
  readonly #places: HandOverPlaces;

  constructor(deps: MounterDependencies) {
    this.#exec = deps.exec;
    this.#readTable = deps.readTable ?? (() => readMountInfo());
    this.#places = deps;
  }

  async mount(source: string, target: string, fsType: string, options: readonly string[], ctx: MountContext = {}) {
    const flags = options.filter((option) => option !== '' && option !== 'rw');
    const args = [
      ...(fsType === '' ? [] : ['-t', fsType]),
      // Only --rw keeps mount(8) from falling back to read-only on a write-protected device; `-o rw` does not.
      ...(options.includes('rw') ? ['--rw'] : []),
      ...(flags.length === 0 ? [] : ['-o', flags.join(',')]),
      '--',
      source,
      target,
    ];
    const result = await this.#exec('mount', args, execOptionsOf(ctx));
    if (!succeeded(result)) throw mountFailed(`could not mount ${source} at ${target}`, result);
  }

  async mountSensitive(
    source: string,
    target: string,
    fsType: string,
    options: readonly string[],
    sensitiveOptions: readonly string[],
    ctx: MountContext = {},
  ) {
    const secretOptions = sensitiveOptions.filter((option) => option !== '');
    if (secretOptions.length === 0) return this.mount(source, target, fsType, options, ctx);
    // mount(8) finds the entry by its target, so both must be spelled alike.
    const entry = { source, target: resolve(target), fsType, options: [...options, ...secretOptions] };
    const result = await handOverInFstab(
      entry,
      // --internal-only: a helper that appears after the check still gets nothing.
      (fstab) =>
        this.#exec('mount', ['--internal-only', '--fstab', fstab, '--target', entry.target], execOptionsOf(ctx)),
      this.#places,
    );
    if (!succeeded(result)) {
      const secrets = secretOptions.flatMap((option) => [option, option.slice(option.indexOf('=') + 1)]);
      throw mountFailed(`could not mount ${source} at ${target}`, result, secrets);
    }
  }

  async bindMount(source: string, target: string, bind: BindOptions = {}, ctx: MountContext = {}) {
    const first = await this.#exec('mount', ['--bind', '--', source, target], execOptionsOf(ctx));
    if (!succeeded(first)) throw mountFailed(`could not bind ${source} to ${target}`, first);
    const flags = bindFlags(bind.options ?? [], bind.readOnly === true);
    if (flags.length === 0) return;
    try {
      const kept = flagsToKeep(await this.#mountedAt(target), flags);
      const options = ['remount', 'bind', ...flags, ...kept].join(',');
      // With source and target both named, mount(8) does not mix in options from fstab.
      const second = await this.#exec('mount', ['-o', options, '--', source, target], execOptionsOf(ctx));
      if (!succeeded(second)) throw mountFailed(`could not set ${flags.join(',')} on the bind at ${target}`, second);
    } catch (error) {
      await this.#undoBind(target, error);
      throw error;
    }
  }

  async remount(target: string, options: readonly string[], ctx: MountContext = {}) {
    const mounted = await this.#mountedAt(target);
    if (mounted === undefined) throw new MountError('Unknown', `cannot remount ${target}: nothing is mounted there`);
    const all = ['remount', ...options, ...flagsToKeep(mounted, options)].join(',');
    const result = await this.#exec('mount', ['-o', all, '--', mounted.source, mounted.mountPoint], execOptionsOf(ctx));
    if (!succeeded(result)) throw mountFailed(`could not remount ${target} with ${options.join(',')}`, result);
  }

  async unmount(target: string, ctx: MountContext = {}) {
    await this.#umount([], target, ctx);
  }

  async unmountLazy(target: string, ctx: MountContext = {}) {
    // Not --force: on a bind mount it would break the whole file system under its other mounts too.
    await this.#umount(['--lazy', '--no-canonicalize'], target, ctx);
    forgetProbes(target);
  }

  async unmountDead(target: string, ctx: MountContext = {}) {
    await this.#umount(['--force', '--lazy', '--no-canonicalize'], target, ctx);
    forgetProbes(target);
  }

  async unmountWithForce(target: string, umountTimeoutMs: number, ctx: MountContext = {}) {
    try {
      await this.unmount(target, { ...ctx, timeoutMs: umountTimeoutMs });
    } catch (error) {
      if (!(error instanceof MountError && error.failure === 'timed-out')) throw error;
      await this.unmountLazy(target, ctx);
    }
  }

  list() {
    return this.#readTable();
  }

  async getMountRefs(path: string) {
    const table = await this.#readTable();
    const mounted = await findMount(path, table);
    if (mounted !== undefined) return searchMountPoints(mounted.mountPoint, table);
    try {
      return searchMountPoints(await realpath(path), table);
    } catch (error) {
      if (isAbsent(error)) return [];
      throw error;
    }
  }

  async isMountPoint(path: string) {
    return (await this.#mountedAt(path)) !== undefined;
  }

  async isLikelyNotMountPoint(path: string) {
    const [here, above] = await Promise.all([stat(path), stat(dirname(resolve(path)))]);
    if (resolve(path) === '/') return false;
    return here.dev === above.dev;
  }

  canSafelySkipMountPointCheck() {
    return true;
  }

  async #mountedAt(path: string): Promise<MountInfo | undefined> {
    return findMount(path, await this.#readTable());
  }

  /** Names the mount point as the table does: umount(8) given a device or an image file would unmount elsewhere. */
  async #umount(flags: readonly string[], target: string, ctx: MountContext): Promise<void> {
    const mounted = await this.#mountedAt(target);
    if (mounted === undefined) return;
    const result = await this.#exec('umount', [...flags, '--', mounted.mountPoint], execOptionsOf(ctx));
    if (succeeded(result)) return;
    const left = mountPointOf(mounted.mountPoint, await this.#readTable());
    // Someone else unmounted it meanwhile, or the program was stopped after its work was done.
    if (left?.id !== mounted.id) return;
    throw programError({
      kind: 'Unknown',
      what: `could not unmount ${target}`,
      program: 'umount',
      result,
      advice: `If it is busy, "fuser -vm ${target}" names the processes that use it.`,
    });
  }

  async #undoBind(target: string, reason: unknown): Promise<void> {
    try {
      // Not under the caller's signal: giving up a bind must not leave it behind, writable.
      await this.unmount(target).catch(() => this.unmountLazy(target));
    } catch (error) {
      throw new MountError('Unknown', `the bind at ${target} failed and could not be undone: unmount it by hand`, {
        cause: new AggregateError([reason, error]),
      });
    }
  }
}

/** The mount at `path`, symbolic links followed, without asking the mounted file system when the table knows the name. */
async function findMount(path: string, table: readonly MountInfo[]): Promise<MountInfo | undefined> {
  const byParent = await resolveParent(path);
  const mounted = mountPointOf(byParent, table);
  if (mounted !== undefined) return mounted;
  const resolved = await realpath(byParent).catch(() => byParent);
  return resolved === byParent ? undefined : mountPointOf(resolved, table);
}

function mountFailed(what: string, result: ExecResult, secrets: readonly string[] = []): MountError {
  return programError({
    kind: 'Unknown',
    what,
    program: 'mount',
    result,
    advice: result.failure === undefined ? 'The kernel log (dmesg) may say more.' : undefined,
    secrets,
  });
}
