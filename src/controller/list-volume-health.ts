import type { CallContext } from '../platform/call-context.js';
import type { ControllerDependencies, ListInput } from './controller-service.js';
import type { VolumeHealth } from './get-volume-health.js';
import { listOverBackends } from './list-over-backends.js';

export interface VolumeHealthPage {
  readonly volumes: readonly VolumeHealth[];
  /** Where the next page starts; undefined at the end. */
  readonly next: string | undefined;
}

/**
 * The volumes that something is wrong with (CSI spec: healthy ones should be left out). A page looks at the volumes that a page of
 * ListVolumes has, so it may be empty with others to follow.
 * @throws DriverError ABORTED for a token that was not given out here (CSI spec, ControllerListVolumeHealth Errors).
 */
export async function listVolumeHealth(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: ListInput,
): Promise<VolumeHealthPage> {
  const { items, next } = await listOverBackends([...deps.backends.keys()], input, async (kind, after, max) => {
    const backend = deps.backends.get(kind);
    if (backend === undefined) return { items: [], next: undefined };
    const page = await backend.listVolumes(ctx, after, max);
    // With the clusters' own credentials, as the list itself: one request's key is not that of every cluster.
    const troubles = await backend.troubles(ctx, page.volumes, undefined);
    return { items: page.volumes.map(({ id }, i) => ({ id, troubles: troubles[i] ?? [] })), next: page.next };
  });
  return { volumes: items.filter(({ troubles }) => troubles.length > 0), next };
}
