import { join } from 'node:path';
import type { Test } from 'tap';
import type { CephFileSystem, TreeCopy } from '../../src/ceph/client.js';
import { type TestCluster, useCluster } from '../harness/cluster.js';
import { context, directory } from './contract-subject.js';
import { mountAll } from './odd-tree.js';
import { realSubject } from './real-subject.js';

export const eight = { concurrency: 8 };

/** A file system in which trees are copied by the library and looked at through another client. */
export interface CopyGround {
  readonly cluster: TestCluster;
  readonly fs: CephFileSystem;
  /** Nothing else is in there; removed in the end, with the snapshots that lie in it. */
  readonly base: string;
  readonly onHost: (path: string) => string;
  /** A new directory to copy to. @returns its path. */
  target(name: string, quotaBytes?: number): Promise<string>;
  /** @returns the snapshot's path. */
  snapshot(path: string): Promise<string>;
}

export async function openCopyGround(t: Test): Promise<CopyGround> {
  const cluster = await useCluster();
  t.teardown(async () => cluster.stop());
  const real = realSubject(cluster);
  t.teardown(async () => real.dispose());
  const connection = await real.client.connect(context(), real.access);
  const fs = await connection.fileSystem(context(), real.fileSystem, ['/']);
  const base = `/copy-${process.pid}`;
  await fs.makeDirectories(context(), base, 0o755);
  t.teardown(async () => fs.removeTree(context(), base, eight));
  const root = mountAll(t, cluster);
  return {
    cluster,
    fs,
    base,
    onHost: (path) => join(root, path),
    target: async (name, quotaBytes) => {
      const attributes = new Map([['trusted.cuttle.volume', 'the target']]);
      if (quotaBytes !== undefined) attributes.set('ceph.quota.max_bytes', String(quotaBytes));
      await fs.makeDirectory(context(), `${base}/${name}`, directory({ attributes }));
      return `${base}/${name}`;
    },
    snapshot: async (path) => {
      await fs.makeDirectory(context(), `${path}/.snap/taken`, directory());
      return `${path}/.snap/taken`;
    },
  };
}

/** What was copied by the call itself. */
export async function copied({ fs }: CopyGround, from: string, to: string, how: TreeCopy = eight) {
  let progress = { entries: 0, bytes: 0n };
  let told = 0;
  const began = performance.now();
  const onProgress = (now: typeof progress) => {
    progress = now;
    told += 1;
  };
  await fs.copyTree(context(), from, to, { ...how, onProgress });
  return { ...progress, told, seconds: (performance.now() - began) / 1000 };
}
