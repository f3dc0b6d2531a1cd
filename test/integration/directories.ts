import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { formatVolumeId } from '../../src/domain/volume-id.js';
import type { TestCluster } from '../harness/cluster.js';
import { documentedCaps } from '../harness/documented-users.js';
import type { Site } from './site.js';

/** The file system that the test cluster has. */
export const fsName = 'cephfs';

export interface DirectoryOptions {
  readonly maxBytes?: number;
  readonly maxFiles?: number;
  /** `ceph.dir.layout.pool` */
  readonly pool?: string;
}

/** Directories made by hand, as an administrator does it: with the whole file system mounted. */
export class Directories {
  readonly #root: string;
  #isOpen = true;
  /** Nothing else is below this directory of the file system. */
  readonly top: string;

  private constructor(root: string, top: string) {
    this.#root = root;
    this.top = top;
  }

  static async open(t: Test, site: Site): Promise<Directories> {
    const root = site.path('root');
    await mkdir(root);
    const { confPath } = site.cluster;
    execFileSync('ceph-fuse', ['--id', 'admin', '--conf', confPath, root], { stdio: 'ignore' });
    const directories = new Directories(root, `/${site.pool}`);
    t.teardown(() => {
      directories.close();
    });
    await mkdir(directories.onHost(directories.top));
    return directories;
  }

  /** @returns the volume id of a new directory below `top` (or at the absolute path named). */
  async make(name: string, options: DirectoryOptions = {}): Promise<string> {
    const path = name.startsWith('/') ? name : `${this.top}/${name}`;
    await mkdir(this.onHost(path), { recursive: true });
    const attributes = {
      'ceph.quota.max_bytes': options.maxBytes,
      'ceph.quota.max_files': options.maxFiles,
      'ceph.dir.layout.pool': options.pool,
    };
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== undefined) setAttribute(this.onHost(path), key, String(value));
    }
    return this.id(path);
  }

  id(path: string, place: { fsName?: string; clusterId?: string } = {}): string {
    const absolute = path.startsWith('/') ? path : `${this.top}/${path}`;
    return formatVolumeId({ backend: 'cephfs', clusterId: 'default', fsName, path: absolute, ...place });
  }

  /** Where the administrator sees a path of the file system. */
  onHost(path: string): string {
    return join(this.#root, path);
  }

  /** May be called twice; paths on the host are gone then. */
  close(): void {
    if (this.#isOpen) execFileSync('umount', ['--lazy', this.#root]);
    this.#isOpen = false;
  }

  async read(path: string): Promise<string> {
    return readFile(this.onHost(path), 'utf8');
  }

  async write(path: string, text: string): Promise<void> {
    await writeFile(this.onHost(path), text);
  }
}

/** Node has no setxattr(2). */
function setAttribute(path: string, name: string, value: string): void {
  const program = 'import os, sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())';
  execFileSync('python3', ['-c', program, path, name, value]);
}

/** Capabilities for mounting below a directory. */
export function capsFor(path: string): Record<string, string> {
  return { ...documentedCaps('node', 'CephFS', { fsName, path }) };
}

/** Ids of the file system's clients that mount this directory. */
export async function clientsOf(cluster: TestCluster, root: string): Promise<number[]> {
  const clients = JSON.parse(await cluster.ceph(['tell', 'mds.a', 'client', 'ls', '--format', 'json'])) as {
    id: number;
    client_metadata: { root?: string };
  }[];
  return clients.filter((client) => client.client_metadata.root === root).map((client) => client.id);
}

/** Takes clients off the cluster, as the MDS does with those that don't answer for a minute. */
export async function evict(cluster: TestCluster, ids: readonly number[]): Promise<void> {
  for (const id of ids) await cluster.ceph(['tell', 'mds.a', 'client', 'evict', `id=${id}`]);
}
