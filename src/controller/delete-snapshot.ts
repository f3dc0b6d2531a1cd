import { formatSnapshotId, type SnapshotId } from '../domain/snapshot-id.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import { backendForId } from './choose-backend.js';
import type { ControllerDependencies } from './controller-service.js';

export interface SnapshotInput {
  /** undefined for an id that Cuttle can't have given out. */
  readonly id: SnapshotId | undefined;
  readonly idText: string;
  readonly credentials: Credentials | undefined;
}

/** OK for what is not there, and for ids that name nothing (CSI spec, DeleteSnapshot: MUST be idempotent). */
export async function deleteSnapshot(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: SnapshotInput,
): Promise<void> {
  const { id, credentials } = input;
  if (id === undefined) return;
  const backend = backendForId(deps.backends, id.source);
  await deps.lock.run(formatSnapshotId(id), 'DeleteSnapshot', '', async () =>
    backend.snapshots.delete(ctx, id, credentials),
  );
}
