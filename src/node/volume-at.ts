import { type MountInfo, mountPointOf } from 'mount-utils-ts';
import { DriverError } from '../domain/errors.js';
import type { VolumeId } from '../domain/volume-id.js';
import type { NodeDependencies } from './node-service.js';

export interface VolumePathInput {
  /** undefined for an id that Cuttle can't have given out. */
  readonly id: VolumeId | undefined;
  readonly idText: string;
  readonly volumePath: string;
}

/** @throws DriverError NOT_FOUND when nothing is mounted at volume_path, or the id is none of ours. */
export async function volumeAt(
  deps: NodeDependencies,
  { id, idText, volumePath }: VolumePathInput,
): Promise<{ id: VolumeId; entry: MountInfo }> {
  const entry = mountPointOf(volumePath, await deps.mounter.list());
  if (id !== undefined && entry !== undefined) return { id, entry };
  throw new DriverError(
    'NOT_FOUND',
    `volume "${idText}" is not at volume_path ${volumePath}: nothing is mounted there`,
  );
}
