import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { pathAttributes } from '../../src/ceph/native/path-attribute.js';
import type { TestCluster } from '../harness/cluster.js';
import { documentedCapsOfBoth } from '../harness/documented-users.js';

/** What Ceph is for the scenarios: a pool and a group of their own, users with the rights that docs/cephx.md gives them and no more. */
export interface CephSide {
  readonly cluster: TestCluster;
  readonly pool: string;
  /** Group of the CephFS volumes, below /volumes. */
  readonly group: string;
  /** For encrypted volumes. */
  readonly passphrase: string;
  readonly users: Readonly<Record<CephUser, { readonly id: string; readonly key: string }>>;
  /** Images in the pool, those in its trash included. */
  images(): Promise<string[]>;
  trash(): Promise<string[]>;
  /** Everything in the group's directory; the driver's own hidden directory only as far as something is in it. */
  directories(): Promise<string[]>;
  /** What an image begins with. */
  firstBytes(image: string, count: number): Promise<Buffer>;
  /** One of librbd's settings as it holds for an image. */
  imageSetting(image: string, name: string): Promise<string>;
  /** `ceph.quota.max_files` of a directory in the group. */
  mostFiles(directory: string): Promise<string | undefined>;
  stop(): Promise<void>;
}

export type CephUser = 'controller' | 'node';

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
  const places = { pool: name, fsName: cluster.fsName, path: `/${volumesRoot}/${name}` };
  const user = async (role: CephUser): Promise<{ id: string; key: string }> => {
    const id = `${name}-${role}`;
    return { id, key: await cluster.createUser(id, { ...documentedCapsOfBoth(role, places) }) };
  };
  const users = { controller: await user('controller'), node: await user('node') };
  const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
  return {
    cluster,
    pool: name,
    group: name,
    users,
    passphrase: randomBytes(16).toString('hex'),
    images: async () => lines(await cluster.rbd(['ls', name])),
    trash: async () => lines(await cluster.rbd(['trash', 'ls', name])),
    directories: async () => volumesIn(group),
    firstBytes: async (image, count) => {
      const all = execa('rbd', ['-c', cluster.confPath, 'export', `${name}/${image}`, '-'], { buffer: false });
      // It ends when nobody reads on.
      all.catch(() => undefined);
      const first = await execa('head', ['-c', String(count)], { input: all.stdout, encoding: 'buffer' });
      return Buffer.from(first.stdout);
    },
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
