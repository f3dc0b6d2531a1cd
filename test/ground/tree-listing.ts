import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** One line per entry below a directory: type, mode, owner; size, time and digest of a file; target of a symbolic link. */
export type TreeListing = ReadonlyMap<string, string>;

/** @param skip paths, relative to the root, that are left out with everything below them. */
export async function listTree(root: string, skip: (path: string) => boolean): Promise<TreeListing> {
  const listing = new Map<string, string>();
  const visit = async (path: string): Promise<void> => {
    const entries = await readdir(join(root, path), { withFileTypes: true });
    await Promise.all(
      entries.map(async (entry) => {
        const below = join(path, entry.name);
        if (skip(below)) return;
        listing.set(below, await describe(join(root, below)));
        if (entry.isDirectory()) await visit(below);
      }),
    );
  };
  listing.set('/', await describe(root));
  await visit('/');
  return listing;
}

/** In words; [] when there is none. */
export function differences(before: TreeListing, after: TreeListing): string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths.flatMap((path) => {
    const [was, is] = [before.get(path), after.get(path)];
    if (was === is) return [];
    return [`${path} was ${was ?? 'not there'} and is ${is ?? 'gone'}`];
  });
}

async function describe(path: string): Promise<string> {
  const status = await lstat(path);
  const mode = status.mode.toString(8);
  const owner = `${status.uid}:${status.gid}`;
  // A directory's size and times are those of what is below it: volumes come and go there.
  if (status.isDirectory()) return `directory ${mode} ${owner}`;
  if (status.isSymbolicLink()) return `link ${mode} ${owner} to ${await readlink(path)}`;
  const times = `${status.mtimeMs} ${status.nlink}`;
  if (!status.isFile()) return `other ${mode} ${owner} ${times}`;
  return `file ${mode} ${owner} ${times} ${status.size} ${await digest(path)}`;
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
