import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import { registryPath } from './volume-paths.js';

/** One hidden directory per snapshot of ours, named like it: whose a snapshot's name is, is one look-up. */
const entryAttribute = 'trusted.cuttle.snapshot';
const hiddenMode = 0o700;

/** What the registry has about a snapshot, before it is taken without the last two. */
export interface RegisteredSnapshot {
  readonly version: 1;
  /** The CO's name for it. */
  readonly name: string;
  /** Where its directory was when it was asked for. */
  readonly path: string;
  /** Decimal; stays when the directory is renamed. */
  readonly inode: string;
  /** Decimal, in bytes. */
  readonly sizeBytes?: string;
  readonly createdMs?: number;
  /** DeleteSnapshot has been answered; the snapshot stays for the volumes that show it. */
  readonly isDeleted?: true;
}

export type TakenSnapshot = RegisteredSnapshot & Required<Pick<RegisteredSnapshot, 'sizeBytes' | 'createdMs'>>;

/** Is it there, for whoever asks? */
export function isTaken(entry: RegisteredSnapshot): entry is TakenSnapshot {
  return entry.isDeleted !== true && entry.sizeBytes !== undefined && entry.createdMs !== undefined;
}

/** @returns what is there now: the own entry, or the one that was first. */
export async function register(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  snapshot: string,
  entry: RegisteredSnapshot,
): Promise<RegisteredSnapshot> {
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
  throw new DriverError('ABORTED', `snapshot "${entry.name}" is being deleted at this moment: repeat the request`);
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
): Promise<RegisteredSnapshot | undefined> {
  const path = `${registryPath(home)}/${snapshot}`;
  const text = (await ifPresent(fs.attributes(ctx, path, [entryAttribute])))?.get(entryAttribute);
  return text === undefined ? undefined : parse(text, path);
}

export async function forget(ctx: CallContext, fs: CephFileSystem, home: string, snapshot: string): Promise<void> {
  await ifPresent(fs.removeDirectory(ctx, `${registryPath(home)}/${snapshot}`));
}

/** Names of all entries after startAfter, in their order. */
export async function registeredNames(
  ctx: CallContext,
  fs: CephFileSystem,
  home: string,
  startAfter: string,
): Promise<string[]> {
  const entries = (await ifPresent(fs.list(ctx, registryPath(home)))) ?? [];
  return entries
    .map(({ name }) => name)
    .filter((name) => name > startAfter)
    .sort();
}

function parse(text: string, path: string): RegisteredSnapshot {
  try {
    const entry: unknown = JSON.parse(text);
    if (isEntry(entry)) return entry;
  } catch {
    // falls through to the one answer
  }
  throw new DriverError(
    'INTERNAL',
    `the extended attribute ${entryAttribute} of ${path} is not what Cuttle wrote: restore it, or remove that directory if the snapshot is gone`,
  );
}

function isEntry(value: unknown): value is RegisteredSnapshot {
  if (typeof value !== 'object' || value === null) return false;
  const { name, path, inode } = value as Partial<Record<keyof RegisteredSnapshot, unknown>>;
  return typeof name === 'string' && typeof path === 'string' && typeof inode === 'string';
}
