import { constants } from 'node:fs';
import { type Pointer, type PointerOut, written } from '../src/ceph/native/library.js';
import { libcephfs } from '../src/ceph/native/libcephfs.js';
import { librados } from '../src/ceph/native/librados.js';
import type { TestCluster } from '../test/harness/cluster.js';
import { measure } from './measure.js';
import { check, connectClient, connectRaw } from './raw-cluster.js';
import type { RawVolumes } from './subject.js';

const quota = 'ceph.quota.max_bytes';
const giB = Buffer.from((1n << 30n).toString());
const fillConcurrency = 16;

export interface RawCephfs extends RawVolumes {
  /** @returns the path of what create() makes. */
  readonly path: (name: string) => string;
  /** Makes empty files in a directory, on a mount that is gone afterwards, as the node's is when a volume is deleted. */
  readonly fill: (path: string, files: number) => Promise<void>;
}

/** @param group the driver's directory of volumes. What is made here lies beside it. */
export async function openRawCephfs(cluster: TestCluster, fsName: string, group: string): Promise<RawCephfs> {
  const rados = connectRaw(cluster);
  const mount = await mountRoot(rados, fsName);
  const cephfs = libcephfs();
  const home = `${group}-raw`;
  const trash = `${home}/trash`;
  check(await cephfs.makeDirectories(mount, trash, 0o755), 'ceph_mkdirs');
  const client = await connectClient(cluster);
  const { ctx } = client;
  const fs = await client.connection.fileSystem(ctx, fsName, ['/']);
  const at = (name: string) => `${home}/${name}`;
  const setQuota = async (name: string, bytes: Buffer) => {
    check(await cephfs.setAttribute(mount, at(name), quota, bytes, bytes.length, 0), 'ceph_lsetxattr');
  };
  const create = async (name: string) => {
    check(await cephfs.makeDirectory(mount, at(name), 0o755), 'ceph_mkdir');
    await setQuota(name, giB);
  };
  const takeSnapshot = async (volume: string, snapshot: string) => {
    check(await cephfs.makeDirectory(mount, `${at(volume)}/.snap/${snapshot}`, 0o755), 'ceph_mkdir in .snap');
  };
  const removeSnapshot = async (volume: string, snapshot: string) => {
    check(await cephfs.removeDirectory(mount, `${at(volume)}/.snap/${snapshot}`), 'ceph_rmdir in .snap');
  };
  return {
    create,
    lookUp: async (name) => {
      const value = Buffer.alloc(64);
      check(await cephfs.getAttribute(mount, at(name), quota, value, value.length), 'ceph_lgetxattr');
    },
    hide: async (name) => {
      check(await cephfs.rename(mount, at(name), `${trash}/${name}`), 'ceph_rename');
    },
    list: async () => (await fs.list(ctx, group)).length,
    listPage: async (size) => (await fs.listPart(ctx, group, '', size)).entries.length,
    listSnapshotPage: async (size) => (await fs.listPart(ctx, `${group}/.cuttle/snapshots`, '', size)).entries.length,
    snapshot: async (volume, snapshot) => takeSnapshot(volume, snapshot),
    deleteSnapshot: async (volume, snapshot) => removeSnapshot(volume, snapshot),
    restore: async (_volume, _snapshot, name) => create(name),
    clone: async (volume, name) => {
      await takeSnapshot(volume, name);
      await create(name);
      await removeSnapshot(volume, name);
    },
    grow: async (volume, bytes) => setQuota(volume, Buffer.from(bytes.toString())),
    emptyTrash: async () => {
      for (const directory of [trash, `${group}/.cuttle/trash`]) {
        for (const { name } of await fs.list(ctx, directory))
          await fs.removeTree(ctx, `${directory}/${name}`, { concurrency: 8 });
      }
    },
    path: at,
    fill: async (path, files) => {
      const filler = await mountRoot(rados, fsName);
      await measure(files, fillConcurrency, async (i) => {
        const flags = constants.O_WRONLY | constants.O_CREAT;
        const fd = check(await cephfs.open(filler, `${path}/file-${i}`, flags, 0o644), 'ceph_open');
        check(await cephfs.close(filler, fd), 'ceph_close');
      });
      await unmount(filler);
    },
    close: async () => {
      // A cluster of our own goes with everything in it.
      const left = cluster.owned ? [] : [home, group];
      for (const directory of left) await fs.removeTree(ctx, directory, { concurrency: 8 });
      await client.close();
      await unmount(mount);
      await librados().shutdown(rados);
    },
  };
}

async function mountRoot(rados: Pointer, fsName: string): Promise<Pointer> {
  const cephfs = libcephfs();
  const out: PointerOut = [null];
  check(cephfs.createFromRados.sync(out, rados), 'ceph_create_from_rados');
  const mount = written(out);
  check(await cephfs.init(mount), 'ceph_init');
  check(cephfs.selectFileSystem.sync(mount, fsName), 'ceph_select_filesystem');
  check(await cephfs.mount(mount, '/'), 'ceph_mount');
  return mount;
}

async function unmount(mount: Pointer): Promise<void> {
  check(await libcephfs().unmount(mount), 'ceph_unmount');
  check(await libcephfs().release(mount), 'ceph_release');
}
