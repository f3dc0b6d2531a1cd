import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, link, mkdir, mkdtemp, readdir, readFile, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultVolumeNamePrefix, looksDerived, objectNameFor } from '../../src/backend/object-name.js';
import { formatVolumeId } from '../../src/domain/volume-id.js';
import type { TestCluster } from '../harness/cluster.js';
import { mountCapability } from '../harness/requests.js';
import type { Ground } from './ground.js';
import { differences, listTree } from './tree-listing.js';

const hidden = '.cuttle';
/** Enough for a purge to take some time. */
const furniture = 12;

/**
 * A group in the cluster's file system, with content of others in it and beside it: what the driver touches of that shows. All of
 * it is seen through ceph-fuse, with the whole file system mounted.
 */
export async function cephfsGround(cluster: TestCluster, group: string): Promise<Ground> {
  const root = await mkdtemp(join(tmpdir(), 'crash-fs-'));
  execFileSync('ceph-fuse', ['--id', 'admin', '--conf', cluster.confPath, root], { stdio: 'ignore' });
  const groupPath = `/volumes/${group}`;
  const theirs = await placeForeign(root, group);
  const objectOf = (name: string) => objectNameFor(name, defaultVolumeNamePrefix);
  const idOf = (name: string) =>
    formatVolumeId({
      backend: 'cephfs',
      clusterId: 'default',
      fsName: 'cephfs',
      path: `${groupPath}/${objectOf(name)}`,
    });
  const isOurs = (path: string) => {
    const [name = '', ...below] = path.startsWith(`${groupPath}/`) ? path.slice(groupPath.length + 1).split('/') : [];
    return below.length === 0 && (name === hidden || looksDerived(name));
  };
  const list = async () => listTree(root, isOurs);
  const before = await list();
  const namesIn = async (path: string) => readdir(join(root, path)).catch(() => []);
  return {
    config: `    cephfs:\n      group: ${group}\n`,
    kind: {
      name: 'cephfs',
      parameters: { backend: 'cephfs' },
      capability: mountCapability('SINGLE_NODE_MULTI_WRITER', ''),
      hasWatchers: false,
      objectOf,
      idOf,
      furnish: async (targetPath) => furnish(targetPath, groupPath),
    },
    objects: async () => new Set((await namesIn(groupPath)).filter(looksDerived)),
    servers: async (volumeId) => daemonsOf(volumeId),
    problems: async () => differences(before, await list()),
    write: async (name, text) => {
      const path = join(root, groupPath, objectOf(name), 'content');
      await writeFile(path, text, { flush: true });
    },
    read: async (name) => readFile(join(root, groupPath, objectOf(name), 'content'), 'utf8'),
    remains: async () => {
      const left = (await namesIn(groupPath)).filter(looksDerived).map((name) => `directory in the group: ${name}`);
      // What the hidden directory is furnished with stays; what lies in it does not.
      for (const place of await namesIn(`${groupPath}/${hidden}`))
        left.push(
          ...(await namesIn(`${groupPath}/${hidden}/${place}`)).map((name) => `in ${hidden}/${place}: ${name}`),
        );
      return left;
    },
    close: async () => {
      // What can't be removed has been told by remains(): the mount must not stay for it.
      for (const path of [groupPath, ...theirs])
        await rm(join(root, path), { recursive: true, force: true }).catch(() => undefined);
      execFileSync('umount', [root]);
      await rmdir(root);
    },
  };
}

/** Things that a careless purge, or one that follows links, would take along. @returns what lies outside of the group. */
async function placeForeign(root: string, group: string): Promise<string[]> {
  const groupPath = join(root, 'volumes', group);
  const [beside, above] = [`volumes/${group}-beside`, `crash-${group}`];
  for (const place of [groupPath, join(root, beside), join(root, above)]) {
    await mkdir(join(place, 'theirs', 'deeper', 'empty'), { recursive: true });
    await writeFile(join(place, 'theirs', 'data'), randomBytes(100_000));
    await writeFile(join(place, 'theirs', 'deeper', 'small'), `of ${place}`);
    await writeFile(join(place, 'a file'), 'not in a directory');
    await link(join(place, 'a file'), join(place, 'theirs', 'the same file'));
    await symlink(`../${group}/theirs`, join(place, 'link'));
    await symlink('nowhere', join(place, 'dangling'));
    await chmod(join(place, 'theirs'), 0o2750);
    await chown(join(place, 'theirs', 'data'), 1234, 5678);
    // Looks like a volume, and is none that this driver has made.
    await mkdir(join(place, `${defaultVolumeNamePrefix}by-hand`));
    await writeFile(join(place, `${defaultVolumeNamePrefix}by-hand`, 'data'), 'by hand');
    await mkdir(join(place, `${hidden}-not`));
  }
  return [beside, above];
}

async function furnish(targetPath: string, groupPath: string): Promise<void> {
  await symlink(`${groupPath}/theirs`, join(targetPath, 'absolute'));
  await symlink('../theirs', join(targetPath, 'relative'));
  await symlink('../../../theirs', join(targetPath, 'relative-from-trash'));
  await mkdir(join(targetPath, 'tree', 'deeper'), { recursive: true });
  await chmod(join(targetPath, 'tree'), 0o500);
  const names = Array.from({ length: furniture }, (_, i) => join(targetPath, 'tree', 'deeper', `file-${i}`));
  await Promise.all(names.map(async (name) => writeFile(name, name)));
}

async function daemonsOf(volumeId: string): Promise<number> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      return args[0]?.endsWith('ceph-fuse') === true && args.some((arg) => arg.includes(`fsname=${volumeId},`));
    }),
  );
  return found.filter(Boolean).length;
}
