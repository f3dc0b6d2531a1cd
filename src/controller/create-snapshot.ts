import type { CreateSnapshotInput, Snapshot } from '../backend/backend.js';
import { snapshotNameFor } from '../backend/object-name.js';
import { formatSnapshotId } from '../domain/snapshot-id.js';
import type { CallContext } from '../platform/call-context.js';
import { backendForId } from './choose-backend.js';
import type { ControllerDependencies } from './controller-service.js';
import { refuseUnreachableSnapshot, withReach } from './place-of.js';

/** @throws DriverError NOT_FOUND, ALREADY_EXISTS, RESOURCE_EXHAUSTED (CSI spec, CreateSnapshot Errors). */
export async function createSnapshot(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: CreateSnapshotInput,
): Promise<Snapshot> {
  const backend = backendForId(deps.backends, input.source);
  const id = formatSnapshotId({ source: input.source, name: snapshotNameFor(input.name) });
  return deps.lock.run(id, 'CreateSnapshot', JSON.stringify(input.requirement ?? null), async () => {
    await refuseUnreachableSnapshot(ctx, deps, backend, input);
    return withReach(deps, input.source, await backend.snapshots.create(ctx, input));
  });
}
