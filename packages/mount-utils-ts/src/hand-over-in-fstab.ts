import { access, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MountError } from './mount-error.js';

/** f_type of tmpfs and ramfs: see statfs(2). */
const MEMORY_FS_TYPES: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** Where mount(8) looks for a helper `mount.TYPE`; a helper is given all options in its argv. */
const HELPER_DIRS: readonly string[] = ['/sbin', '/sbin/fs.d', '/sbin/fs', '/usr/sbin'];

export interface FstabEntry {
  source: string;
  target: string;
  fsType: string;
  options: readonly string[];
}

export interface HandOverPlaces {
  /** Directories to try for the file; only one that is held in memory is used. */
  secretDirs?: readonly string[] | undefined;
  helperDirs?: readonly string[] | undefined;
}

/**
 * Writes `entry` as an fstab(5) of its own: mode 0600, random name, in memory; calls `use` with its path and removes
 * it again whatever happens. This is the one way in which mount(8) takes options that are not in its argv.
 *
 * Throws MountError when there is no safe way: no memory-backed directory, or a mount helper for the type, which
 * mount(8) would run with the options in argv.
 */
export async function handOverInFstab<T>(
  entry: FstabEntry,
  use: (fstab: string) => Promise<T>,
  places: HandOverPlaces = {},
): Promise<T> {
  await refuseHelper(entry, places.helperDirs ?? HELPER_DIRS);
  const base = await memoryDirectory(places.secretDirs ?? ['/dev/shm', '/run', tmpdir()]);
  const dir = await mkdtemp(join(base, 'mount-'));
  try {
    const fstab = join(dir, 'fstab');
    await writeFile(fstab, fstabLine(entry), { mode: 0o600, flag: 'wx' });
    return await use(fstab);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function refuseHelper(entry: FstabEntry, dirs: readonly string[]): Promise<void> {
  const [family = entry.fsType] = entry.fsType.split('.');
  for (const dir of dirs) {
    for (const type of new Set([entry.fsType, family])) {
      const helper = join(dir, `mount.${type}`);
      if (await isThere(helper)) {
        throw new MountError(
          'Unknown',
          `refused to mount ${entry.target}: ${helper} would be given the sensitive options of this ${entry.fsType} ` +
            `mount in its argv, where every process can read them. Pass the secret by a file that an option names.`,
        );
      }
    }
  }
}

async function memoryDirectory(dirs: readonly string[]): Promise<string> {
  for (const dir of dirs) {
    const found = await statfs(dir).catch(() => undefined);
    if (found !== undefined && MEMORY_FS_TYPES.has(found.type)) return dir;
  }
  throw new MountError(
    'Unknown',
    `no directory in memory to hand sensitive mount options over: none of ${dirs.join(', ')} is a tmpfs. ` +
      `Mount one at ${dirs[0] ?? '/dev/shm'}.`,
  );
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Fields are separated by blanks, so blanks, backslashes and a leading `#` are written in octal: fstab(5). */
function fstabLine(entry: FstabEntry): string {
  const fields = [entry.source, entry.target, entry.fsType, entry.options.join(',')].map(escapeField);
  return `${fields.join(' ')} 0 0\n`;
}

function escapeField(field: string): string {
  return field.replace(/[\s\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
