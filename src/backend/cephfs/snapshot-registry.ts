import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import { beingDeleted, isTaken, parseEntry, type RegisteredSnapshot, type Taken } from '../registered-snapshot.js';
import { directoryParts } from './directory-parts.js';
import { registryPath } from './volume-paths.js';

/** One hidden directory per snapshot of ours, named like it: whose a snapshot's name is, is one look-up. */
const entryAttribute = 'trusted.cuttle.snapshot';
const hiddenMode = 0o700;

export interface RegisteredDirectorySnapshot extends RegisteredSnapshot {
  /** Where its directory was when it was asked for. */
  readonly path: string;
  /** Decimal; stays when the directory is renamed. */
  readonly inode: string;
  /** DeleteSnapshot has been answered; the snapshot stays for the volumes that show it. */
  readonly isDeleted?: true;
}

export type TakenSnapshot = Taken<RegisteredDirectorySnapshot>;

/** Is it there, for whoever asks? */
function isListed(entry: RegisteredDirectorySnapshot): entry is TakenSnapshot {
  return entry.isDeleted !== true && isTaken(entry);
}

/** @returns what is there now: the own entry, or the one that was first. */
export async function register(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  snapshot: string,
  entry: RegisteredDirectorySnapshot,
): Promise<RegisteredDirectorySnapshot> {
  const path = `${registryPath(home)}/${snapshot}`;
  await makeEntry(ctx, fs, registryPath(home), path);
  if (await fs.setAttribute(ctx, path, entryAttribute, JSON.stringify(entry), true)) return entry;
  const found = await lookUp(ctx, fs, home, snapshot);
  if (found?.isDeleted === true) {
    throw new DriverError(
      'ALREADY_EXISTS',
      `snapshot "${entry.name}" was deleted and is kept for the volumes that show it: use another name, or delete those volumes`,
    );
  }
  if (found !== undefined) return found;
  throw beingDeleted(entry.name);
}

async function makeEntry(ctx: CallContext, fs: CephFileSystem, registry: string, path: string): Promise<void> {
  const directory = { mode: hiddenMode, attributes: new Map<string, string>() };
  for (let tries = 1; ; tries++) {
    try {
      await fs.makeDirectory(ctx, path, directory);
      return;
    } catch (error) {
      if (isCephError(error, errno.EEXIST)) return;
      if (!isCephError(error, errno.ENOENT) || tries > 1) throw error;
      await fs.makeDirectories(ctx, registry, hiddenMode);
    }
  }
}

export async function complete(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  snapshot: string,
  entry: TakenSnapshot,
): Promise<void> {
  await fs.setAttribute(ctx, `${registryPath(home)}/${snapshot}`, entryAttribute, JSON.stringify(entry));
}

/** From now on the snapshot is nobody's but of the volumes that show it. Snapshots made by hand get an entry for it. */
export async function markDeleted(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  key: string,
  entry: RegisteredSnapshot,
): Promise<void> {
  const path = `${registryPath(home)}/${key}`;
  const text = JSON.stringify({ ...entry, isDeleted: true });
  if ((await ifPresent(fs.setAttribute(ctx, path, entryAttribute, text))) !== undefined) return;
  await makeEntry(ctx, fs, registryPath(home), path);
  await fs.setAttribute(ctx, path, entryAttribute, text);
}

/** undefined when there is no such entry. */
export async function lookUp(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  snapshot: string,
): Promise<RegisteredDirectorySnapshot | undefined> {
  const path = `${registryPath(home)}/${snapshot}`;
  const text = (await ifPresent(fs.attributes(ctx, path, [entryAttribute])))?.get(entryAttribute);
  return text === undefined ? undefined : parse(text, path);
}

export async function forget(ctx: CallContext, fs: CephFileSystem, home: string, snapshot: string): Promise<void> {
  await ifPresent(fs.removeDirectory(ctx, `${registryPath(home)}/${snapshot}`));
}

/**
 * Entries of snapshots that were taken, after a place, with theirs. @param room how many are still wanted
 * @throws DriverError ABORTED when it is no place.
 */
export async function* registered(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  after: string,
  room: () => number,
): AsyncGenerator<{ readonly snapshot: string; readonly entry: TakenSnapshot; readonly place: string }> {
  for await (const part of directoryParts(ctx, fs, registryPath(home), after, room)) {
    const found = await Promise.all(part.map(async ({ name }) => lookUp(ctx, fs, home, name)));
    for (const [i, { name, place }] of part.entries()) {
      const entry = found[i];
      if (entry !== undefined && isListed(entry)) yield { snapshot: name, entry, place };
    }
  }
}

function parse(text: string, path: string): RegisteredDirectorySnapshot {
  return parseEntry<RegisteredDirectorySnapshot>(text, ['path', 'inode'], {
    what: `the extended attribute ${entryAttribute} of ${path}`,
    removal: 'that directory',
  });
}
