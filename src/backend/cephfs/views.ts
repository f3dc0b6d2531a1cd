import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { isReaderOnly } from '../../domain/capability.js';
import { DriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { CreateVolumeInput } from '../backend.js';
import { parseRecord, type ShownSnapshot } from '../volume-record.js';
import { recordAttribute, recordPlace } from './attributes.js';

/** A volume that shows a snapshot. */
export interface View extends ShownSnapshot {
  readonly sizeBytes: bigint;
}

/**
 * Is a snapshot to be shown instead of copied? By itself, when nobody is to write.
 * @throws DriverError INVALID_ARGUMENT when it must be and can't.
 */
export function wantsView({ source, capabilities }: CreateVolumeInput, backingSnapshot: boolean | undefined): boolean {
  if (source === undefined || !('snapshot' in source) || backingSnapshot === false) return false;
  const writer = capabilities.find(({ mode }) => !isReaderOnly(mode));
  if (writer === undefined && capabilities.length > 0) return true;
  if (backingSnapshot === undefined) return false;
  throw new DriverError(
    'INVALID_ARGUMENT',
    `parameter backingSnapshot is "true": the volume would show the snapshot itself, which can only be read, and access mode ${writer?.mode ?? 'UNKNOWN'} is for writing: ask for ReadOnlyMany alone, or leave the parameter out for a copy`,
  );
}

/** undefined when the directory is not there, or no such volume's. */
export async function readView(ctx: CallContext, fs: CephFileSystem, id: CephfsVolumeId): Promise<View | undefined> {
  const text = (await ifPresent(fs.attributes(ctx, id.path, [recordAttribute])))?.get(recordAttribute);
  if (text === undefined) return undefined;
  const { shows, sizeBytes } = parseRecord(text, recordPlace(id.path));
  return shows === undefined ? undefined : { ...shows, sizeBytes: BigInt(sizeBytes ?? '0') };
}

/** Why a volume that shows a snapshot can't be written: for messages. */
export function whyReadOnly(id: CephfsVolumeId): string {
  return `volume ${formatVolumeId(id)} shows a snapshot, which can only be read: use it with accessModes ReadOnlyMany, or make a copy of the snapshot (parameter backingSnapshot "false")`;
}
