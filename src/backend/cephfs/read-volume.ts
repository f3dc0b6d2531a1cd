import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { attachedNodes } from '../attachment-record.js';
import type { FoundVolume } from '../backend.js';
import { maxBytesAttribute, recordAttribute } from './attributes.js';
import { sizeOf } from './create-request.js';
import { readAttributes } from './directory-attachments.js';
import { recordedVolume } from './recorded-volume.js';

/** A directory as a volume. */
export interface ReadVolume {
  readonly volume: FoundVolume & { readonly id: CephfsVolumeId };
  /** Whether CreateVolume has made it. */
  readonly hasRecord: boolean;
}

/** @returns undefined when there is no such directory. */
export async function readVolume(
  ctx: CallContext,
  fs: CephFileSystem,
  id: CephfsVolumeId,
): Promise<ReadVolume | undefined> {
  const read = await ifPresent(readAttributes(ctx, fs, id.path, () => [recordAttribute, maxBytesAttribute]));
  if (read === undefined) return undefined;
  const nodes = attachedNodes(read.record);
  const text = read.values.get(recordAttribute);
  const maxBytes = read.values.get(maxBytesAttribute);
  if (text === undefined) {
    return { hasRecord: false, volume: { id, sizeBytes: sizeOf(maxBytes) ?? 0n, context: {}, nodes } };
  }
  return { hasRecord: true, volume: { ...recordedVolume(id, text, maxBytes), nodes } };
}
