import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { Volume } from '../backend.js';
import { parseRecord } from '../volume-record.js';
import { recordPlace } from './attributes.js';
import { sizeOf } from './create-request.js';
import { nodeContext } from './parameters.js';

/** The volume that a directory's record and quota tell of. */
export function recordedVolume(
  { clusterId, fsName, path }: Pick<CephfsVolumeId, 'clusterId' | 'fsName' | 'path'>,
  record: string,
  maxBytes: string | undefined,
): Volume & { readonly id: CephfsVolumeId } {
  const { parameters, shows, sizeBytes } = parseRecord(record, recordPlace(path));
  const id = { backend: 'cephfs', clusterId, fsName, path } as const;
  const context = nodeContext(parameters);
  if (shows !== undefined) return { id: { ...id, isView: true }, sizeBytes: BigInt(sizeBytes ?? '0'), context };
  return { id, sizeBytes: sizeOf(maxBytes) ?? 0n, context };
}
