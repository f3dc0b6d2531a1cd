import { isAbsolute } from 'node:path';
import { blockDeviceNumber } from './device-number.js';
import { checkFileSystem, explainMountFailure } from './check-file-system.js';
import { growUnmounted, ResizeFs } from './resize-fs.js';
import { describeFormat, probeDiskFormat, type DiskFormat } from './disk-format.js';
import type { Exec, MountContext } from './exec.js';
import { limitConcurrency, type Limiter } from './limit-concurrency.js';
import { assertFsType, makeFileSystem } from './make-file-system.js';
import { MountError } from './mount-error.js';
import { sameDevice } from './mount-info.js';
import type { MounterLike } from './mounter.js';
import { provenFileSystem, readHead } from './superblock.js';

export interface FormatAndMountRequest {
  /** Absolute path of a block device or a regular file. */
  device: string;
  /** An existing directory. */
  target: string;
  fsType: string;
  mountOptions?: readonly string[] | undefined;
  /** Arguments for mkfs.TYPE, put after the defaults. */
  formatOptions?: readonly string[] | undefined;
  /** Mounts with `ro`, and neither formats nor checks. The mount option `ro` means the same. */
  readOnly?: boolean | undefined;
  /**
   * The caller knows that the device was blank once and was formatted with `fsType` then: a superblock of that type which proves itself by its
   * checksum is believed without asking blkid(8). It is never a reason to format.
   */
  wasFormatted?: boolean | undefined;
  /** Grows a file system whose device has grown meanwhile; never with `readOnly`. */
  grow?: boolean | undefined;
  /** Asked just before a blank device is formatted; `false` refuses. Without it a blank device is formatted. */
  allowFormat?: (() => Promise<boolean>) | undefined;
  /** Called when mkfs is done and before the mount: the place to write down that the device was formatted. */
  onFormatted?: (() => Promise<void>) | undefined;
}

export interface FormatAndMountResult {
  formatted: boolean;
  /** The file system was smaller than its device and covers it now. */
  grown: boolean;
  fsType: string;
}

export interface SafeFormatAndMountDependencies {
  mounter: MounterLike;
  exec: Exec;
  /** How many mkfs may run at once in this process; each may write gigabytes. Default 4. */
  maxConcurrentFormats?: number | undefined;
}

const DEFAULT_MAX_CONCURRENT_FORMATS = 4;

/** Mounts a device; formats it first only when it is blank, checks it first when it is not. */
export class SafeFormatAndMount {
  readonly #mounter: MounterLike;
  readonly #exec: Exec;
  readonly #limitFormats: Limiter;
  readonly #resizeFs: ResizeFs;

  constructor(deps: SafeFormatAndMountDependencies) {
    this.#mounter = deps.mounter;
    this.#exec = deps.exec;
    this.#resizeFs = new ResizeFs({ exec: deps.exec });
    this.#limitFormats = limitConcurrency(deps.maxConcurrentFormats ?? DEFAULT_MAX_CONCURRENT_FORMATS);
  }

  /** What is on the device. Throws MountError of kind GetDiskFormatFailed when that cannot be told. */
  getDiskFormat(device: string): Promise<DiskFormat> {
    return probeDiskFormat(this.#exec, device);
  }

  /**
   * Throws MountError: UnformattedReadOnly, FilesystemMismatch (nothing was written), FormatFailed,
   * HasFilesystemErrors, GetDiskFormatFailed, Unknown. `ctx.signal` and `ctx.timeoutMs` bound the mount and the wait for
   * a free place; a mkfs or fsck that has begun runs to its end. The caller keeps two calls for one device apart.
   */
  async formatAndMount(request: FormatAndMountRequest, ctx: MountContext = {}): Promise<FormatAndMountResult> {
    const { device, target, fsType } = request;
    if (!isAbsolute(device)) {
      throw new MountError(
        'Unknown',
        `the device ${JSON.stringify(device)} must be an absolute path: nothing was done`,
      );
    }
    assertFsType(fsType, device);
    ctx.signal?.throwIfAborted();
    const found = (await believedFormat(request)) ?? (await this.getDiskFormat(device));
    const formatted = await this.#makeReady(request, found, ctx);
    const outgrown = !formatted && request.grow === true && (await this.#hasOutgrown(request));
    // ext4 is grown offline, which takes no capability; xfs can be grown only while it is mounted.
    if (outgrown && fsType !== 'xfs') await growUnmounted(this.#exec, device, fsType);
    ctx.signal?.throwIfAborted();
    try {
      await this.#mounter.mount(device, target, fsType, mountOptionsOf(request), ctx);
    } catch (error) {
      throw explainMountFailure(error, device, fsType);
    }
    if (outgrown && fsType === 'xfs') await this.#resizeFs.resize(device, target);
    return { formatted, grown: outgrown, fsType };
  }

  /** True when the device was formatted. */
  async #makeReady(request: FormatAndMountRequest, found: DiskFormat, ctx: MountContext): Promise<boolean> {
    const { device, fsType } = request;
    if (found.kind === 'blank') {
      await this.#format(request, ctx);
      return true;
    }
    if (found.kind !== 'filesystem' || found.fsType !== fsType) {
      throw new MountError(
        'FilesystemMismatch',
        `${device} holds ${describeFormat(found)}, but ${fsType} was asked for. Nothing was written. ` +
          `Ask for what is there, or use another volume; only a blank device is ever formatted.`,
      );
    }
    if (!isReadOnly(request) && !(await this.#isMountedAnywhere(device))) {
      await checkFileSystem(this.#exec, device, fsType);
    }
    return false;
  }

  async #hasOutgrown(request: FormatAndMountRequest): Promise<boolean> {
    if (isReadOnly(request) || !(await this.#resizeFs.needResize(request.device))) return false;
    return !(await this.#isMountedAnywhere(request.device));
  }

  async #format(request: FormatAndMountRequest, ctx: MountContext): Promise<void> {
    const { device, fsType } = request;
    if (isReadOnly(request)) {
      throw new MountError(
        'UnformattedReadOnly',
        `${device} is blank and is to be mounted read-only: it was not formatted. Mount it writable once, first.`,
      );
    }
    await this.#limitFormats(async () => {
      if (request.allowFormat !== undefined && !(await request.allowFormat())) {
        throw new MountError(
          'FormatFailed',
          `${device} holds no file system, and formatting it was refused: it is said to have been formatted before. ` +
            `Nothing was written. Restore its content, or remove the mark that says so if the content is not needed.`,
        );
      }
      await makeFileSystem(this.#exec, device, fsType, request.formatOptions ?? []);
    }, ctx.signal);
    await request.onFormatted?.();
  }

  /** A mounted file system must not be checked: e2fsck(8) would refuse, and be right. */
  async #isMountedAnywhere(device: string): Promise<boolean> {
    const number = await blockDeviceNumber(device).catch(() => undefined);
    if (number === undefined) return false;
    return (await this.#mounter.list()).some((entry) => sameDevice(entry, number));
  }
}

/** undefined: blkid has the word, also when the device can't be read here. */
async function believedFormat({
  device,
  fsType,
  wasFormatted,
}: FormatAndMountRequest): Promise<DiskFormat | undefined> {
  if (wasFormatted !== true) return undefined;
  const head = await readHead(device).catch(() => undefined);
  return head !== undefined && provenFileSystem(head) === fsType ? { kind: 'filesystem', fsType } : undefined;
}

function isReadOnly(request: FormatAndMountRequest): boolean {
  return request.readOnly === true || request.mountOptions?.includes('ro') === true;
}

/** `rw` is said outright, so that a write-protected device is an error and not a silent read-only mount. */
function mountOptionsOf(request: FormatAndMountRequest): string[] {
  const options = (request.mountOptions ?? []).filter((option) => option !== 'ro' && option !== 'rw');
  return [isReadOnly(request) ? 'ro' : 'rw', ...options];
}
