import type { VolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import { backendForId } from './choose-backend.js';
import type { ControllerDependencies } from './controller-service.js';
import { attachmentKey } from './publish-volume.js';

export interface UnpublishVolumeInput {
  /** undefined for an id that Cuttle can't have given out. */
  readonly id: VolumeId | undefined;
  /** '' = all nodes. */
  readonly node: string;
  readonly credentials: Credentials | undefined;
}

/** OK for what is not attached or not there, and for ids that name nothing (CSI spec, ControllerUnpublishVolume: MUST be idempotent). */
export async function unpublishVolume(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: UnpublishVolumeInput,
): Promise<void> {
  const { id, node, credentials } = input;
  if (id === undefined) return;
  const backend = backendForId(deps.backends, id);
  await deps.lock.run(attachmentKey(id, node), 'ControllerUnpublishVolume', '', async () =>
    backend.detach(ctx, id, node === '' ? undefined : node, credentials),
  );
}
