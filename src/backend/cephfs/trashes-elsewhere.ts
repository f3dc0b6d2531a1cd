import { createHash } from 'node:crypto';
import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { isDriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import { elsewherePath, trashPath } from './volume-paths.js';

/*
 * Adopted directories behind a quota's border are deleted into a trash beside them. The group remembers where, so that whoever purges
 * the group's own trash, also after a crash, empties those as well.
 */
const placeAttribute = 'trusted.cuttle.place';
const hiddenMode = 0o700;

/** @param home the directory that has the trash; remembered before anything is moved there. */
export async function rememberTrash(ctx: CallContext, fs: CephFileSystem, group: string, home: string): Promise<void> {
  const name = createHash('sha256').update(home).digest('hex').slice(0, 32);
  const entry = `${elsewherePath(group)}/${name}`;
  await fs.makeDirectories(ctx, entry, hiddenMode);
  await fs.setAttribute(ctx, entry, placeAttribute, home);
}

/** The trashes, by their paths. Forgets those whose directory is gone. */
export async function trashesElsewhere(ctx: CallContext, fs: CephFileSystem, group: string): Promise<string[]> {
  const entries = (await ifPresent(fs.list(ctx, elsewherePath(group)))) ?? [];
  const trashes: string[] = [];
  for (const { name } of entries) {
    const entry = `${elsewherePath(group)}/${name}`;
    const home = (await ifPresent(fs.attributes(ctx, entry, [placeAttribute])))?.get(placeAttribute);
    if (home === undefined || !(await isReachable(ctx, fs, home))) continue;
    if ((await ifPresent(fs.status(ctx, home))) === undefined) await ifPresent(fs.removeDirectory(ctx, entry));
    else trashes.push(trashPath(home));
  }
  return trashes;
}

/** What a key that is restricted to the group doesn't reach is for another one. */
async function isReachable(ctx: CallContext, fs: CephFileSystem, path: string): Promise<boolean> {
  try {
    await ifPresent(fs.status(ctx, path));
    return true;
  } catch (error) {
    if (isDriverError(error, 'PERMISSION_DENIED')) return false;
    throw error;
  }
}
