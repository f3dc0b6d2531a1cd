import type { VolumePage } from '../backend/backend.js';
import type { CallContext } from '../platform/call-context.js';
import type { ControllerDependencies, ListInput } from './controller-service.js';
import { listOverBackends } from './list-over-backends.js';
import { withReach } from './place-of.js';

/** @throws DriverError ABORTED for a token that was not given out here (CSI spec, ListVolumes Errors). */
export async function listVolumes(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: ListInput,
): Promise<VolumePage> {
  const { items, next } = await listOverBackends([...deps.backends.keys()], input, async (kind, after, max) => {
    const page = await deps.backends.get(kind)?.listVolumes(ctx, after, max);
    return { items: page?.volumes ?? [], next: page?.next };
  });
  return { volumes: items.map((volume) => withReach(deps, volume.id, volume)), next };
}
