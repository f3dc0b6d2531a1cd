import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { FoundVolume } from '../backend.js';
import { parseRecord } from '../volume-record.js';
import { recordPlace } from './attributes.js';
import { sizeOf } from './create-request.js';
import { nodeContext } from './parameters.js';

/** The volume that a directory's record and quota tell of. */
export function recordedVolume(
  { clusterId, fsName, path }: Pick<CephfsVolumeId, 'clusterId' | 'fsName' | 'path'>,
  record: string,
  maxBytes: string | undefined,
): Omit<FoundVolume, 'nodes'> & { readonly id: CephfsVolumeId } {
  const { parameters, mutableParameters, shows, sizeBytes } = parseRecord(record, recordPlace(path));
  const id = { backend: 'cephfs', clusterId, fsName, path } as const;
  const context = nodeContext(parameters);
  // A view has no data of its own to write.
  if (shows !== undefined) return { id: { ...id, isView: true }, sizeBytes: BigInt(sizeBytes ?? '0'), context };
  const dataPool = mutableParameters?.layoutPool ?? parameters.pool;
  return { id, sizeBytes: sizeOf(maxBytes) ?? 0n, context, dataPool };
}
