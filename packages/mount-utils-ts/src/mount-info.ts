import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { MountError } from './mount-error.js';
import { pathWithinBase } from './path-within-base.js';

/** One line of /proc/PID/mountinfo, as proc_pid_mountinfo(5) names its fields, escapes decoded. */
export interface MountInfo {
  id: number;
  parentId: number;
  major: number;
  minor: number;
  /** The path inside the file system that forms the root of this mount. */
  root: string;
  mountPoint: string;
  mountOptions: string[];
  /** For example `shared:1`, `master:2`, `propagate_from:3`, `unbindable`. */
  optionalFields: string[];
  fsType: string;
  source: string;
  superOptions: string[];
}

export const MOUNT_INFO_PATH = '/proc/self/mountinfo';

/** How often a table that changes between two reads is read again. */
const MAX_READS = 6;

/**
 * Reads the text of a mountinfo file. A name that is not valid UTF-8 keeps U+FFFD in place of its bytes.
 * Throws MountError on a line that is not mountinfo.
 */
export function parseMountInfo(text: string): MountInfo[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine);
}

function parseLine(line: string): MountInfo {
  // Exactly one space separates: an empty source leaves two in a row, and that field must not vanish.
  const fields = line.split(' ');
  // The first `-` after the six fixed fields: a mount point or a source may itself be called `-`.
  const separator = fields.indexOf('-', 6);
  const [id, parentId, device, root, mountPoint, mountOptions] = fields;
  const [fsType, source, superOptions] = separator < 0 ? [] : fields.slice(separator + 1);
  const [, major, minor] = /^(\d+):(\d+)$/.exec(device ?? '') ?? [];
  if (
    !/^\d+$/.test(id ?? '') ||
    !/^\d+$/.test(parentId ?? '') ||
    major === undefined ||
    root === undefined ||
    mountPoint === undefined ||
    fsType === undefined
  ) {
    throw new MountError('Unknown', `not a mountinfo line: ${JSON.stringify(line.slice(0, 300))}`);
  }
  return {
    id: Number(id),
    parentId: Number(parentId),
    major: Number(major),
    minor: Number(minor),
    root: decodeEscapes(root),
    mountPoint: decodeEscapes(mountPoint),
    mountOptions: splitOptions(mountOptions),
    optionalFields: fields.slice(6, separator),
    fsType: decodeEscapes(fsType),
    source: decodeEscapes(source ?? ''),
    superOptions: splitOptions(superOptions),
  };
}

/** Splits first: the kernel writes a comma inside a value as `\054`. */
function splitOptions(text: string | undefined): string[] {
  return text === undefined || text === '' ? [] : text.split(',').map(decodeEscapes);
}

/** Octal escapes are bytes: several of them may form one UTF-8 character, so bytes are joined before decoding. */
function decodeEscapes(field: string): string {
  if (!field.includes('\\')) return field;
  const pieces = field.split(/\\([0-3][0-7]{2})/);
  const bytes = pieces.map((piece, index) => (index % 2 === 0 ? Buffer.from(piece) : Buffer.of(parseInt(piece, 8))));
  return Buffer.concat(bytes).toString('utf8');
}

/**
 * Reads and parses the mount table. It is read again when two reads differ, at most six times; of a table that never
 * comes to rest the last read counts (since Linux 5.8 a changing table no longer hides an entry that stays).
 */
export async function readMountInfo(path: string = MOUNT_INFO_PATH): Promise<MountInfo[]> {
  let text = await readFile(path, 'utf8');
  for (let reads = 1; reads < MAX_READS; reads++) {
    const again = await readFile(path, 'utf8');
    if (again === text) break;
    text = again;
  }
  return parseMountInfo(text);
}

/** The topmost of the mounts exactly at `path`, or undefined. Compares names only: `path` must be absolute and resolved. */
export function mountPointOf(path: string, table: readonly MountInfo[]): MountInfo | undefined {
  const layers = table.filter((entry) => entry.mountPoint === path);
  const covered = new Set(layers.filter((entry) => entry.id !== entry.parentId).map((entry) => entry.parentId));
  // Line order alone misleads after a mount was moved or put beneath another: the parent ids do not.
  return layers.findLast((entry) => !covered.has(entry.id)) ?? layers.at(-1);
}

/** The mount that `path` lies on, found as the kernel walks a path: from the root down, always the uppermost layer. */
export function coveringMount(path: string, table: readonly MountInfo[]): MountInfo | undefined {
  const ids = new Set(table.map((entry) => entry.id));
  let current = table.find(
    (entry) => entry.mountPoint === '/' && (entry.parentId === entry.id || !ids.has(entry.parentId)),
  );
  // In a chroot that is no mount the table has no root: take the last mount that could hold the path.
  if (current === undefined) return table.findLast((entry) => pathWithinBase(path, entry.mountPoint));
  // No walk is longer than the table, even if that was read while it changed and its parents form a circle.
  for (const _ of table) {
    const parent: MountInfo = current;
    const next = table
      .filter((entry) => entry.parentId === parent.id && entry !== parent && pathWithinBase(path, entry.mountPoint))
      // The child that is nearest to the parent's root is met first, and hides what lies below it.
      .reduce<MountInfo | undefined>(
        (best, entry) => (best && best.mountPoint.length <= entry.mountPoint.length ? best : entry),
        undefined,
      );
    if (next === undefined) break;
    current = next;
  }
  return current;
}

/**
 * The mount points that show the same directory (or file) as `hostSource`, which may itself be a mount point or any
 * path below one. The mount that `hostSource` lies on is not among them. `hostSource` must be resolved.
 */
export function searchMountPoints(hostSource: string, table: readonly MountInfo[]): string[] {
  const holder = coveringMount(hostSource, table);
  if (holder === undefined) {
    throw new MountError(
      'Unknown',
      `no mount in the table holds ${hostSource}: is the table of another mount namespace?`,
    );
  }
  // A source's name is not unique (every tmpfs may be called tmpfs): the device number and the root are.
  const root = join(holder.root, relative(holder.mountPoint, hostSource));
  return table
    .filter((entry) => entry.id !== holder.id && entry.root === root && sameDevice(entry, holder))
    .map((entry) => entry.mountPoint);
}

/** True when both mounts show the same file system. */
export function sameDevice(a: Pick<MountInfo, 'major' | 'minor'>, b: Pick<MountInfo, 'major' | 'minor'>): boolean {
  return a.major === b.major && a.minor === b.minor;
}

/** True when mounts made below this one propagate to its peers. */
export function isShared(info: MountInfo): boolean {
  return info.optionalFields.some((field) => field.startsWith('shared:'));
}
