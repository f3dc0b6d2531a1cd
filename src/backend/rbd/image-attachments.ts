import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephConnection, CephPool, ImageHeader } from '../../ceph/client.js';
import { DriverError, isDriverError } from '../../domain/errors.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { type AttachmentRecord, attachedNodes, noAttachments, parseAttachments } from '../attachment-record.js';
import type { AttachmentPlace, OpenAttachments } from '../attachments.js';
import { clientKey, clientsIn, watchingClients } from './image-clients.js';
import type { ImagePools } from './image-pools.js';
import { attachedKey, attachedPlace, deletedKey } from './metadata-keys.js';

/** Of a header that was read with attachedKey. @throws DriverError INTERNAL when somebody else has written there. */
export function attachmentsIn(header: Pick<ImageHeader, 'id' | 'metadata'>, image: string): AttachmentRecord {
  const text = header.metadata.get(attachedKey);
  const record = parseAttachments(text, attachedPlace(image)) as StoredRecord;
  // RBD gives a clone a copy of its parent's metadata.
  return text !== undefined && record.image !== header.id ? noAttachments : record;
}

interface StoredRecord extends AttachmentRecord {
  /** The id of the image that it was written on. */
  readonly image?: string;
}

/** The attachments of images, in the metadata of each; compare-and-swap decides between controllers. */
export function imageAttachments(pools: ImagePools): OpenAttachments<RbdVolumeId> {
  return async (ctx, id, node, credentials) => {
    try {
      const { pool, connection } = await pools.open(ctx, id, credentials);
      const keys = [attachedKey, deletedKey, ...(node === undefined ? [] : [clientKey(node)])];
      const header = await pool.images.header(ctx, id.image, keys);
      return placeOf(ctx, { id, pool, connection, header, node });
    } catch (error) {
      // The image, or its whole pool.
      if (isCephError(error, errno.ENOENT) && isDriverError(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  };
}

interface OpenedImage {
  readonly id: RbdVolumeId;
  readonly pool: CephPool;
  readonly connection: CephConnection;
  readonly header: ImageHeader;
  /** Whose clientKey() the header was read with. */
  readonly node: string | undefined;
}

function placeOf(ctx: CallContext, image: OpenedImage): AttachmentPlace {
  const { id, pool, connection, header } = image;
  const record = attachmentsIn(header, id.image);
  const clients = async (node: string) => {
    if (node === image.node) return clientsIn(header, node);
    return clientsIn(await pool.images.headerById(ctx, header.id, [clientKey(node)]), node);
  };
  return {
    record,
    clientNodes: attachedNodes(record),
    clients,
    holding: async (node) => {
      const named = await clients(node);
      if (named.length === 0) return [];
      const watching = await watchingClients(ctx, pool, id, header.id);
      return named.filter((address) => watching.includes(address) && address !== connection.address);
    },
    replace: async (next) => {
      const grows = attachedNodes(next).some((node) => !attachedNodes(record).includes(node));
      if (grows) refuseDeleted(image);
      return pool.images.setMetadata(
        ctx,
        header.id,
        new Map([[attachedKey, JSON.stringify({ ...next, image: header.id })]]),
        { key: attachedKey, value: header.metadata.get(attachedKey) ?? '' },
        // A deletion looks for attachments after it has set its mark: one of the two sees the other.
        ...(grows ? [{ key: deletedKey, value: '' }] : []),
      );
    },
    fence: async (address) => connection.fence(ctx, address),
    lift: async (address) => connection.liftFence(ctx, address),
  };
}

function refuseDeleted({ id, header }: OpenedImage): void {
  if (!header.metadata.has(deletedKey)) return;
  throw new DriverError(
    'ABORTED',
    `volume ${formatVolumeId(id)} is being deleted; if that was given up, allow its use again with: rbd image-meta remove ${id.image} ${deletedKey}`,
  );
}
