import type { Attached } from '../backend/backend.js';
import type { VolumeCapability } from '../domain/capability.js';
import { DriverError } from '../domain/errors.js';
import { formatVolumeId, type VolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import { backendForId } from './choose-backend.js';
import type { ControllerDependencies } from './controller-service.js';

export interface PublishVolumeInput {
  /** undefined for an id that Cuttle can't have given out. */
  readonly id: VolumeId | undefined;
  readonly idText: string;
  readonly node: string;
  readonly capability: VolumeCapability;
  readonly readOnly: boolean;
  readonly credentials: Credentials | undefined;
}

/**
 * Nodes don't wait for each other here: a shared volume may be attached to many at the same moment. The volume's record decides.
 * @throws DriverError NOT_FOUND (volume, node), ALREADY_EXISTS, FAILED_PRECONDITION (CSI spec, ControllerPublishVolume Errors).
 */
export async function publishVolume(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: PublishVolumeInput,
): Promise<Attached> {
  const { id, idText, node, capability, readOnly, credentials } = input;
  if (id === undefined) throw new DriverError('NOT_FOUND', `volume "${idText}" does not exist`);
  const backend = backendForId(deps.backends, id);
  const objection = backend.objection(capability);
  if (objection !== undefined) throw new DriverError('INVALID_ARGUMENT', `volume_capability: ${objection}`);
  if (!(await deps.nodes.has(ctx, node))) {
    throw new DriverError(
      'NOT_FOUND',
      `node "${node}" is not known: start the driver there with this --node-id, or list it under "nodes" in the driver's configuration`,
    );
  }
  return deps.lock.run(
    attachmentKey(id, node),
    'ControllerPublishVolume',
    JSON.stringify([capability, readOnly]),
    async () => backend.attach(ctx, id, { node, capability, readOnly, credentials }),
  );
}

export function attachmentKey(id: VolumeId, node: string): string {
  return `${formatVolumeId(id)} on node "${node}"`;
}
