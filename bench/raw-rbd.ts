import { featureBits } from '../src/backend/rbd/features.js';
import { type Pointer, type PointerOut, written } from '../src/ceph/native/library.js';
import { librados } from '../src/ceph/native/librados.js';
import { imageOption, librbd } from '../src/ceph/native/librbd.js';
import type { TestCluster } from '../test/harness/cluster.js';
import { check, connectClient, connectRaw } from './raw-cluster.js';
import type { RawVolumes } from './subject.js';

const giB = 1n << 30n;
const driverDefaults =
  featureBits.layering |
  featureBits['exclusive-lock'] |
  featureBits['object-map'] |
  featureBits['fast-diff'] |
  featureBits['deep-flatten'];

export async function openRawRbd(cluster: TestCluster, poolName: string): Promise<RawVolumes> {
  const handle = connectRaw(cluster);
  const opened: PointerOut = [null];
  check(librados().openIo.sync(handle, poolName, opened), 'rados_ioctx_create');
  const io = written(opened);
  const options: PointerOut = [null];
  librbd().createOptions.sync(options);
  librbd().setOptionUint64.sync(written(options), imageOption.features, driverDefaults);
  const cloneOptions: PointerOut = [null];
  librbd().createOptions.sync(cloneOptions);
  librbd().setOptionUint64.sync(written(cloneOptions), imageOption.features, driverDefaults);
  librbd().setOptionUint64.sync(written(cloneOptions), imageOption.cloneFormat, 2n);
  const client = await connectClient(cluster);
  const { ctx } = client;
  const pool = await client.connection.pool(ctx, poolName, '');
  const withImage = async (name: string, use: (image: Pointer) => Promise<void>) => {
    const image: PointerOut = [null];
    check(await librbd().open(io, name, image, null), 'rbd_open');
    await use(written(image));
    check(await librbd().close(written(image)), 'rbd_close');
  };
  const takeSnapshot = async (volume: string, snapshot: string) =>
    withImage(volume, async (image) => {
      check(await librbd().createSnapshot(image, snapshot), 'rbd_snap_create');
    });
  const removeSnapshot = async (volume: string, snapshot: string) =>
    withImage(volume, async (image) => {
      check(await librbd().removeSnapshot(image, snapshot), 'rbd_snap_remove');
    });
  const clone = async (volume: string, snapshot: string, name: string) => {
    check(await librbd().clone(io, volume, snapshot, io, name, written(cloneOptions)), 'rbd_clone3');
  };
  return {
    create: async (name) => {
      check(await librbd().create(io, name, giB, written(options)), 'rbd_create4');
    },
    lookUp: async (name) => {
      const buffer = Buffer.alloc(64);
      check(await librados().read(io, `rbd_id.${name}`, buffer, buffer.length, 0), 'rados_read');
    },
    hide: async (name) => {
      check(await librbd().trashMove(io, name, 0n), 'rbd_trash_move');
    },
    list: async () => (await pool.images.list(ctx, '', 100_000)).size,
    listPage: async (size) => (await pool.images.list(ctx, '', size)).size,
    listSnapshotPage: async (size) => (await pool.omap.list(ctx, 'cuttle.snapshots', '', size)).size,
    snapshot: takeSnapshot,
    deleteSnapshot: removeSnapshot,
    restore: async (volume, snapshot, name) => clone(volume, snapshot, name),
    clone: async (volume, name) => {
      await takeSnapshot(volume, name);
      await clone(volume, name, name);
      await removeSnapshot(volume, name);
    },
    grow: async (volume, bytes) =>
      withImage(volume, async (image) => {
        check(await librbd().resize(image, bytes), 'rbd_resize');
      }),
    emptyTrash: async () => {
      for (const entry of await pool.images.listTrash(ctx))
        await pool.images.removeFromTrash(ctx, entry.id).catch(() => undefined);
    },
    close: async () => {
      librados().closeIo.sync(io);
      await librados().shutdown(handle);
      await client.close();
    },
  };
}
