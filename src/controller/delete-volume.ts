import { formatVolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import { backendForId } from './choose-backend.js';
import type { ControllerDependencies, DeleteVolumeInput } from './controller-service.js';

/** OK for what is not there, and for ids that name nothing (CSI spec, DeleteVolume: MUST be idempotent). */
export async function deleteVolume(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: DeleteVolumeInput,
): Promise<void> {
  const { id, credentials } = input;
  if (id === undefined) return;
  const backend = backendForId(deps.backends, id);
  await deps.lock.run(formatVolumeId(id), 'DeleteVolume', '', async () => backend.deleteVolume(ctx, id, credentials));
}
