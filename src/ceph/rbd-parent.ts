import { cephError } from './ceph-error.js';
import type { ImageParent } from './client.js';
import { Decoder, encodeUint64 } from './native/encoding.js';
import { librados } from './native/librados.js';
import type { PoolHandle } from './pool-handle.js';
import { askClass, headSnapshot } from './rbd-header.js';

const specRoomBytes = 1024;
const overlapRoomBytes = 16;

/**
 * What an image or a snapshot of it reads from, in one compound read of its header, where opening the image opens its whole chain
 * (cls_rbd: parent_get, parent_overlap_get). After a flattening the header may still name the parent for older snapshots: the overlap
 * tells who still reads from it. @throws CephError ENOENT when there is no such image. Runs inside a lane's job.
 */
export async function readParent(
  handle: PoolHandle,
  imageId: string,
  snapshotId = headSnapshot,
): Promise<ImageParent | undefined> {
  const rados = librados();
  const op = rados.createReadOp();
  try {
    const reply = {
      spec: askClass(op, 'parent_get', Buffer.alloc(0), specRoomBytes),
      overlap: askClass(op, 'parent_overlap_get', encodeUint64(snapshotId), overlapRoomBytes),
    };
    const doing = `find the parent of image ${handle.name}/${imageId}`;
    const returned = await rados.readOpOperate(op, handle.io, `rbd_header.${imageId}`, 0);
    if (returned < 0) throw cephError(returned, handle.describe(doing));
    const readsFromIt = new Decoder(reply.overlap.output).uint8() !== 0;
    const parent = new Decoder(reply.spec.output);
    parent.structHeader();
    const poolId = parent.int64();
    const namespace = parent.string();
    const parentId = parent.string();
    const parentSnapshotId = parent.uint64();
    if (!readsFromIt || poolId < 0n || parentId === '') return undefined;
    return {
      pool: await poolName(handle, Number(poolId), doing),
      namespace,
      imageId: parentId,
      snapshotId: parentSnapshotId,
    };
  } finally {
    rados.releaseReadOp.sync(op);
  }
}

async function poolName(handle: PoolHandle, id: number, doing: string): Promise<string> {
  const name = Buffer.alloc(256);
  const returned = await librados().poolName(handle.cluster, id, name, name.length);
  if (returned < 0) throw cephError(returned, handle.describe(doing));
  return name.toString('utf8', 0, name.indexOf(0));
}
