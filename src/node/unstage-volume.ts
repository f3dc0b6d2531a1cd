import { formatVolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import { backendOf, type NodeDependencies, type UnstageInput } from './node-service.js';

/** OK for what is not staged, and for ids that name nothing (CSI spec, NodeUnstageVolume: MUST be idempotent). */
export async function unstageVolume(ctx: CallContext, deps: NodeDependencies, input: UnstageInput): Promise<void> {
  const { id, stagingPath } = input;
  if (id === undefined) return;
  const backend = backendOf(deps, id);
  await deps.lock.run(formatVolumeId(id), 'NodeUnstageVolume', stagingPath, async () =>
    backend.unstage(ctx, id, stagingPath),
  );
}
