import type { Snapshot } from '../backend/backend.js';
import { DriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import { backendForId } from './choose-backend.js';
import type { ControllerDependencies } from './controller-service.js';
import type { SnapshotInput } from './delete-snapshot.js';
import { withReach } from './place-of.js';

/** @throws DriverError NOT_FOUND when there is no such snapshot (CSI spec, GetSnapshot Errors). */
export async function getSnapshot(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: SnapshotInput,
): Promise<Snapshot> {
  const snapshot = await findSnapshot(ctx, deps, input);
  if (snapshot !== undefined) return snapshot;
  throw new DriverError('NOT_FOUND', `snapshot "${input.idText}" does not exist`);
}

/** undefined when there is no such snapshot. */
export async function findSnapshot(
  ctx: CallContext,
  deps: ControllerDependencies,
  { id, credentials }: SnapshotInput,
): Promise<Snapshot | undefined> {
  if (id === undefined) return undefined;
  const found = await backendForId(deps.backends, id.source).snapshots.find(ctx, id, credentials);
  return found === undefined ? undefined : withReach(deps, id.source, found);
}
