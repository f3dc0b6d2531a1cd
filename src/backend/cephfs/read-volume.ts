import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { attachedNodes } from '../attachment-record.js';
import type { FoundVolume } from '../backend.js';
import { parseRecord } from '../volume-record.js';
import { maxBytesAttribute, recordAttribute, recordPlace } from './attributes.js';
import { sizeOf } from './create-request.js';
import { readAttributes } from './directory-attachments.js';
import { nodeContext } from './parameters.js';

/** A directory as a volume. */
export interface ReadVolume {
  readonly volume: FoundVolume;
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
  const { values, record } = read;
  const text = values.get(recordAttribute);
  return {
    hasRecord: text !== undefined,
    volume: {
      id,
      sizeBytes: sizeOf(values.get(maxBytesAttribute)) ?? 0n,
      context: text === undefined ? {} : nodeContext(parseRecord(text, recordPlace(id.path)).parameters),
      nodes: attachedNodes(record),
    },
  };
}
