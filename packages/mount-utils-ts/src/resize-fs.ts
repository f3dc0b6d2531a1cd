import { readFile } from 'node:fs/promises';
import { hasOutgrownFileSystem } from './file-system-size.js';
import { checkFileSystem } from './check-file-system.js';
import { describeFormat, probeDiskFormat } from './disk-format.js';
import { succeeded, type Exec, type ExecResult, type MountContext } from './exec.js';
import { MountError, programError } from './mount-error.js';

/** Growing a large ext4 initialises many block groups, and must not be stopped halfway. */
const RESIZE_TIMEOUT_MS = 60 * 60_000;

/** Bit of CAP_SYS_RESOURCE in the masks of /proc/PID/status: capabilities(7). */
const CAP_SYS_RESOURCE = 1n << 24n;

export interface ResizeFsDependencies {
  exec: Exec;
  /** Where the capabilities of this process are read: for tests. */
  statusPath?: string | undefined;
}

/** Grows ext2/3/4 and xfs to the size of their device. It never shrinks. */
export class ResizeFs {
  readonly #exec: Exec;
  readonly #statusPath: string;

  constructor(deps: ResizeFsDependencies) {
    this.#exec = deps.exec;
    this.#statusPath = deps.statusPath ?? '/proc/self/status';
  }

  /** Has the device outgrown the file system on it? For one that is not mounted. */
  async needResize(device: string): Promise<boolean> {
    return hasOutgrownFileSystem(device);
  }

  /**
   * Grows the file system that is mounted at `mountPath` to the size of `device`; already grown is fine. An ext4 that is
   * not mounted must have been checked (`e2fsck -f`) before. Runs to its end once begun: only a signal that is aborted
   * already is heeded. `ctx.timeoutMs` replaces the limit of one hour.
   */
  async resize(device: string, mountPath: string, ctx: MountContext = {}): Promise<void> {
    const fsType = await this.#fsTypeOf(device);
    ctx.signal?.throwIfAborted();
    const [program, argument] = fsType === 'xfs' ? ['xfs_growfs', mountPath] : ['resize2fs', device];
    const result = await this.#exec(program, [argument], { timeoutMs: ctx.timeoutMs ?? RESIZE_TIMEOUT_MS });
    if (succeeded(result)) return;
    throw programError({
      kind: 'Unknown',
      what: `could not grow the ${fsType} file system on ${device} at ${mountPath}`,
      program,
      result,
      advice: fsType === 'xfs' ? undefined : await this.#adviceForExt(result),
    });
  }

  async #fsTypeOf(device: string): Promise<string> {
    const found = await probeDiskFormat(this.#exec, device);
    if (found.kind === 'filesystem' && /^(ext[234]|xfs)$/.test(found.fsType)) return found.fsType;
    throw new MountError(
      'FilesystemMismatch',
      `${device} holds ${describeFormat(found)}: only ext2, ext3, ext4 and xfs can be grown here`,
    );
  }

  async #adviceForExt(result: ExecResult): Promise<string | undefined> {
    const refused = result.stderr.includes('Permission denied');
    if (!refused && (await this.#hasSysResource())) return undefined;
    return (
      'Growing a mounted ext4 needs the capability CAP_SYS_RESOURCE: give it to this process (a privileged container ' +
      'has it), or grow the file system while it is not mounted.'
    );
  }

  /** True also when it cannot be told: then it is not blamed. */
  async #hasSysResource(): Promise<boolean> {
    const status = await readFile(this.#statusPath, 'utf8').catch(() => '');
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
    return effective === undefined || (BigInt(`0x${effective}`) & CAP_SYS_RESOURCE) !== 0n;
  }
}

/**
 * Grows an ext2/3/4 that is not mounted, after the full check that resize2fs(8) wants before. Runs to its end.
 * Throws MountError: HasFilesystemErrors when the check found what it can't repair by itself; nothing was grown then.
 */
export async function growUnmounted(exec: Exec, device: string, fsType: string): Promise<void> {
  await checkFileSystem(exec, device, fsType, 'even if it is clean');
  const result = await exec('resize2fs', [device], { timeoutMs: RESIZE_TIMEOUT_MS });
  if (succeeded(result)) return;
  throw programError({
    kind: 'Unknown',
    what: `could not grow the ${fsType} file system on ${device}`,
    program: 'resize2fs',
    result,
  });
}
