import { DriverError } from '../domain/errors.js';
import { formatVolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import { backendOf, type NodeDependencies } from './node-service.js';
import { volumeAt, type VolumePathInput } from './volume-at.js';

export interface ExpandInput extends VolumePathInput {
  /** What ControllerExpandVolume has answered, in bytes; 0n when the caller doesn't say. */
  readonly requiredBytes: bigint;
  readonly credentials: Credentials | undefined;
}

/**
 * @returns the size in bytes; undefined where a node has nothing to do.
 * @throws DriverError NOT_FOUND (nothing is mounted there), FAILED_PRECONDITION (CSI spec, NodeExpandVolume Errors).
 */
export async function expandVolume(
  ctx: CallContext,
  deps: NodeDependencies,
  input: ExpandInput,
): Promise<bigint | undefined> {
  const { id } = await volumeAt(deps, input);
  const { volumePath, requiredBytes, credentials } = input;
  return deps.lock.run(formatVolumeId(id), 'NodeExpandVolume', volumePath, async () => {
    const sizeBytes = await backendOf(deps, id).expand?.(ctx, { id, volumePath, credentials });
    if (sizeBytes === undefined || sizeBytes >= requiredBytes) return sizeBytes;
    throw new DriverError(
      'FAILED_PRECONDITION',
      `volume ${formatVolumeId(id)} has ${sizeBytes.toString()} bytes, fewer than the ${requiredBytes.toString()} asked for: ControllerExpandVolume comes first`,
    );
  });
}
