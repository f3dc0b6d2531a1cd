import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { pathAttributes } from '../../src/ceph/native/path-attribute.js';
import type { TestCluster } from '../harness/cluster.js';

/** What Ceph is for the scenarios: a pool and a group of their own, users with no more rights than docs/configuration.md asks for. */
export interface CephSide {
  readonly cluster: TestCluster;
  readonly pool: string;
  /** Group of the CephFS volumes, below /volumes. */
  readonly group: string;
  readonly users: Readonly<Record<CephUser, { readonly id: string; readonly key: string }>>;
  /** Images in the pool, those in its trash included. */
  images(): Promise<string[]>;
  trash(): Promise<string[]>;
  /** Everything in the group's directory; the driver's own hidden directory only as far as something is in it. */
  directories(): Promise<string[]>;
  /** One of librbd's settings as it holds for an image. */
  imageSetting(image: string, name: string): Promise<string>;
  /** `ceph.quota.max_files` of a directory in the group. */
  mostFiles(directory: string): Promise<string | undefined>;
  stop(): Promise<void>;
}

export type CephUser = 'rbd' | 'cephfs' | 'cephfs-node';

const volumesRoot = 'volumes';

/** @param directory a place for a mount of the file system. */
export async function openCephSide(cluster: TestCluster, directory: string): Promise<CephSide> {
  const name = `e2e-${randomBytes(4).toString('hex')}`;
  await cluster.createPool(name);
  const mount = join(directory, 'fs');
  await mkdir(mount, { recursive: true });
  await execa('ceph-fuse', ['--id', 'admin', '-c', cluster.confPath, mount], { timeout: 60_000 });
  const group = join(mount, volumesRoot, name);
  await mkdir(group, { recursive: true });
  const file = `allow rw tag cephfs data=${cluster.fsName}`;
  const path = `path=/${volumesRoot}/${name}`;
  const caps: Record<CephUser, Record<string, string>> = {
    rbd: { mon: 'profile rbd', osd: `profile rbd pool=${name}` },
    cephfs: { mon: 'allow r, allow command "osd blocklist"', mds: `allow rwps ${path}`, osd: file },
    'cephfs-node': { mon: 'allow r', mds: `allow rw ${path}`, osd: file },
  };
  const user = async (kind: CephUser): Promise<{ id: string; key: string }> => {
    const id = `${name}-${kind}`;
    return { id, key: await cluster.createUser(id, caps[kind]) };
  };
  const users = { rbd: await user('rbd'), cephfs: await user('cephfs'), 'cephfs-node': await user('cephfs-node') };
  const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
  return {
    cluster,
    pool: name,
    group: name,
    users,
    images: async () => lines(await cluster.rbd(['ls', name])),
    trash: async () => lines(await cluster.rbd(['trash', 'ls', name])),
    directories: async () => volumesIn(group),
    imageSetting: async (image, setting) => cluster.rbd(['config', 'image', 'get', `${name}/${image}`, setting]),
    mostFiles: async (directory) => pathAttributes.read(join(group, directory), 'ceph.quota.max_files'),
    stop: async () => {
      await execa('umount', [mount], { timeout: 20_000 }).catch(async () => execa('umount', ['--lazy', mount]));
      await rmdir(mount).catch(() => undefined);
      if (cluster.owned) return; // it goes as a whole
      for (const { id } of Object.values(users)) await cluster.removeUser(id);
      await cluster.deletePool(name);
    },
  };
}

async function volumesIn(group: string): Promise<string[]> {
  const names = await readdir(group);
  const visible = names.filter((each) => !each.startsWith('.'));
  const hidden = names.filter((each) => each.startsWith('.')).map((each) => join(group, each));
  const inHidden = await Promise.all(hidden.map(directoriesBelow));
  return [...visible, ...inHidden.flat()];
}

/** Names of what lies two levels below: <hidden>/<purpose>/<volume>. */
async function directoriesBelow(hidden: string): Promise<string[]> {
  const purposes = (await readdir(hidden, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const found = await Promise.all(purposes.map(async ({ name }) => readdir(join(hidden, name))));
  return found.flat();
}
