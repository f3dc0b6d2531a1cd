import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { probePath } from './corrupted-mount.js';
import { blockDeviceNumber, splitDeviceNumber } from './device-number.js';
import { DEFAULT_TIMEOUT_MS, execOptionsOf, succeeded, type Exec, type MountContext } from './exec.js';
import { MountError, programError } from './mount-error.js';
import { mountPointOf, readMountInfo } from './mount-info.js';
import { isAbsent, resolveParent } from './path-within-base.js';

const SYS_BLOCK = '/sys/block';

/** What the kernel adds to the name of a backing file that was unlinked. */
const DELETED_SUFFIX = ' (deleted)';

/**
 * The kernel names a file by its path in the mount namespace that it was opened in. When that namespace has gone, as a container's
 * does, it has no path for a file that is the root of its file system but this one.
 */
const NAMELESS = '/';

/** How long a detached loop may still be seen before it counts as held by someone: udev opens devices briefly. */
const DETACH_WAIT_MS = 1_500;
const DETACH_POLL_MS = 25;

export interface LoopDevice {
  /** For example `/dev/loop3`. */
  device: string;
  /** As the kernel names it: links resolved, without the suffix of a deleted file. */
  backingFile: string;
  /** The file was unlinked: another file may have its name by now. */
  deleted: boolean;
  readOnly: boolean;
}

export interface AttachOptions {
  readOnly?: boolean | undefined;
  /** Asks for O_DIRECT on the backing file; a file system without it makes losetup(8) fail. */
  directIo?: boolean | undefined;
}

/** `in-use`: the kernel detaches it when its last user closes it (LO_FLAGS_AUTOCLEAR in loop(4)). */
export type DetachOutcome = 'detached' | 'not-attached' | 'in-use';

/**
 * The loop devices over `file`, deleted ones included: from sysfs alone, without a process and an open, unless there is one whose
 * file the kernel has no name for.
 */
export async function findLoops(exec: Exec, file: string, sysBlock: string = SYS_BLOCK): Promise<LoopDevice[]> {
  const loops = await listLoops(sysBlock);
  const byName = (names: ReadonlySet<string>) => loops.filter((loop) => names.has(loop.backingFile));
  const found = byName(await namesOf(file));
  const nameless = loops.filter((loop) => loop.backingFile === NAMELESS);
  if (nameless.length > 0) found.push(...(await overFileSystemAt(exec, resolve(file), nameless)));
  if (found.length > 0) return found;
  return byName(new Set([await realpath(file).catch(() => resolve(file))]));
}

/** Whether `device` is a loop device over `file`. */
export async function isLoopOver(
  exec: Exec,
  device: string,
  file: string,
  sysBlock: string = SYS_BLOCK,
): Promise<boolean> {
  const loop = await loopOf(device, sysBlock);
  if (loop === undefined) return false;
  if (loop.backingFile !== NAMELESS) return (await namesOf(file)).has(loop.backingFile);
  return (await overFileSystemAt(exec, resolve(file), [loop])).length > 0;
}

async function namesOf(file: string): Promise<ReadonlySet<string>> {
  return new Set([resolve(file), await resolveParent(file)]);
}

/**
 * The backing file of `/dev/loopN` or of a `major:minor`; undefined when that is no loop device or not attached. `/` when the kernel
 * has no name for it any more.
 */
export async function backingFileOf(device: string, sysBlock: string = SYS_BLOCK): Promise<string | undefined> {
  return (await loopOf(device, sysBlock))?.backingFile;
}

/**
 * Attaches `file` to a free loop device, or returns the one it is attached to already. losetup(8) does not do this
 * atomically: the caller keeps two calls for one file apart. Throws MountError, also when the existing loop is read-only
 * and a writable one is wanted or the other way round.
 */
export async function attachLoop(
  exec: Exec,
  file: string,
  options: AttachOptions = {},
  ctx: MountContext = {},
): Promise<string> {
  const path = resolve(file);
  const readOnly = options.readOnly === true;
  const before = await findLoops(exec, path);
  const existing = await attachedTo(exec, path, before, ctx);
  if (existing !== undefined) {
    if (existing.readOnly === readOnly) return existing.device;
    const is = existing.readOnly ? 'read-only' : 'writable';
    throw new MountError('Unknown', `${path} is attached to ${existing.device} already, ${is}: detach that first`);
  }
  const args = ['--find', '--show', '--nooverlap'];
  if (readOnly) args.push('--read-only');
  if (options.directIo === true) args.push('--direct-io=on');
  const result = await exec('losetup', [...args, path], execOptionsOf(ctx));
  const device = result.stdout.trim();
  if (succeeded(result) && device.startsWith('/dev/')) return device;
  await dropHalfAttached(exec, path, before);
  throw programError({
    kind: 'Unknown',
    what: `could not attach ${path} to a loop device`,
    program: 'losetup',
    result,
    advice: 'Check that /dev/loop-control is there and that the file can be opened.',
  });
}

/**
 * Detaches a loop device. One that is attached no more is fine. `losetup -d` says 0 for a busy loop too, so sysfs decides
 * whether it is really gone. Throws MountError when losetup(8) fails.
 */
export async function detachLoop(exec: Exec, device: string, ctx: MountContext = {}): Promise<DetachOutcome> {
  const before = await loopOf(device, SYS_BLOCK);
  if (before === undefined) return 'not-attached';
  const result = await exec('losetup', ['--detach', before.device], execOptionsOf(ctx));
  const deadline = Date.now() + DETACH_WAIT_MS;
  for (;;) {
    const now = await loopOf(before.device, SYS_BLOCK);
    // Another file behind the same number: it was given out again meanwhile.
    if (now?.backingFile !== before.backingFile) return 'detached';
    if (!succeeded(result)) {
      throw programError({ kind: 'Unknown', what: `could not detach ${before.device}`, program: 'losetup', result });
    }
    if (Date.now() >= deadline) return 'in-use';
    await sleep(DETACH_POLL_MS);
  }
}

/** Tells the loop device the new size of its backing file: losetup(8) --set-capacity. */
export async function refreshLoopSize(exec: Exec, device: string, ctx: MountContext = {}): Promise<void> {
  const result = await exec('losetup', ['--set-capacity', device], execOptionsOf(ctx));
  if (succeeded(result)) return;
  throw programError({
    kind: 'Unknown',
    what: `could not refresh the size of ${device}`,
    program: 'losetup',
    result,
    advice: 'Is it still attached?',
  });
}

async function listLoops(sysBlock: string): Promise<LoopDevice[]> {
  const names = (await readdir(sysBlock)).filter((name) => /^loop\d+$/.test(name));
  const loops = await Promise.all(names.map((name) => readLoop(sysBlock, name)));
  return loops.filter((loop) => loop !== undefined);
}

async function readLoop(sysBlock: string, name: string): Promise<LoopDevice | undefined> {
  const file = await readAttribute(join(sysBlock, name, 'loop', 'backing_file'));
  if (file === undefined) return undefined;
  const deleted = file.endsWith(DELETED_SUFFIX) && !(await isThere(file));
  return {
    device: `/dev/${name}`,
    backingFile: deleted ? file.slice(0, -DELETED_SUFFIX.length) : file,
    deleted,
    readOnly: (await readAttribute(join(sysBlock, name, 'ro'))) === '1',
  };
}

/** The attribute without its closing newline; undefined when it is not there (a detached loop loses its directory). */
async function readAttribute(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).replace(/\n$/, '');
  } catch (error) {
    // A loop that is being detached answers ENXIO or ENODEV while its directory still stands.
    if (isAbsent(error) || ['ENXIO', 'ENODEV'].includes(String((error as NodeJS.ErrnoException).code)))
      return undefined;
    throw error;
  }
}

async function loopOf(device: string, sysBlock: string): Promise<LoopDevice | undefined> {
  if (/^\d+:\d+$/.test(device)) return loopOfNumber(device, sysBlock);
  const name = basename(device);
  if (/^loop\d+$/.test(name)) return readLoop(sysBlock, name);
  // A link or a node of another name: its number tells.
  const number = await blockDeviceNumber(device).catch(() => undefined);
  return number === undefined ? undefined : loopOfNumber(`${number.major}:${number.minor}`, sysBlock);
}

async function loopOfNumber(number: string, sysBlock: string): Promise<LoopDevice | undefined> {
  for (const name of (await readdir(sysBlock)).filter((entry) => /^loop\d+$/.test(entry))) {
    if ((await readAttribute(join(sysBlock, name, 'dev'))) === number) return readLoop(sysBlock, name);
  }
  return undefined;
}

/** The loop over this very file: the name is not enough, for a file that was replaced or mounted anew keeps its name. */
async function attachedTo(
  exec: Exec,
  path: string,
  loops: readonly LoopDevice[],
  ctx: MountContext,
): Promise<LoopDevice | undefined> {
  const named = loops.filter((loop) => !loop.deleted);
  if (named.length === 0) return undefined;
  const state = await probePath(path);
  if (state === 'hung' || state === 'corrupted') {
    throw new MountError('Unknown', `${path} cannot be attached: the file system that it lies on is ${state}`);
  }
  const file = await stat(path, { bigint: true });
  const { major, minor } = splitDeviceNumber(file.dev);
  for (const loop of named) {
    const args = ['--list', '--json', '--output', 'BACK-MAJ:MIN,BACK-INO', loop.device];
    const result = await exec('losetup', args, execOptionsOf(ctx));
    if (succeeded(result) && isOver(result.stdout, `${major}:${minor}`, file.ino)) return loop;
  }
  return undefined;
}

/**
 * Those over the one file that a whole file system consists of (one that FUSE exports), by the number of that file system: it is in the
 * mount table, so that nothing is asked of a server that may be dead.
 */
async function overFileSystemAt(exec: Exec, file: string, loops: readonly LoopDevice[]): Promise<LoopDevice[]> {
  const mount = mountPointOf(file, await readMountInfo());
  if (mount?.root !== '/') return [];
  const result = await exec('losetup', ['--list', '--json', '--output', 'NAME,BACK-MAJ:MIN'], {
    timeoutMs: DEFAULT_TIMEOUT_MS,
  });
  if (!succeeded(result))
    throw programError({ kind: 'Unknown', what: 'could not list loop devices', program: 'losetup', result });
  const listed = (JSON.parse(result.stdout) as LosetupReport).loopdevices ?? [];
  const isOverMount = (device: string): boolean =>
    listed.some((loop) => loop.name === device && loop['back-maj:min']?.trim() === `${mount.major}:${mount.minor}`);
  return loops.filter(({ device }) => isOverMount(device));
}

interface LosetupReport {
  loopdevices?: { name?: string; 'back-maj:min'?: string; 'back-ino'?: number | string }[];
}

function isOver(report: string, device: string, inode: bigint): boolean {
  const [loop] = (JSON.parse(report) as LosetupReport).loopdevices ?? [];
  // The column is padded with blanks, in JSON too.
  return loop?.['back-maj:min']?.trim() === device && String(loop['back-ino']) === String(inode);
}

/** losetup can fail after it took a device (direct I/O refused): nobody would know of that one. */
async function dropHalfAttached(exec: Exec, path: string, before: readonly LoopDevice[]): Promise<void> {
  const known = new Set(before.map((loop) => loop.device));
  for (const loop of await findLoops(exec, path)) {
    if (loop.deleted || known.has(loop.device)) continue;
    await exec('losetup', ['--detach', loop.device], { timeoutMs: DEFAULT_TIMEOUT_MS });
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
