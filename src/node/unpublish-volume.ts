import { cleanupMountPoint } from 'mount-utils-ts';
import type { CallContext } from '../platform/call-context.js';
import { asDriverError } from '../platform/mount-failure.js';
import { clearAside } from './bind-read-only.js';
import type { NodeDependencies, UnpublishInput } from './node-service.js';

const probeTimeoutMs = 3_000;

/** From the mount table alone; OK for what is not there, also for ids that name nothing. Removes the target (CSI spec). */
export async function unpublishVolume(_ctx: CallContext, deps: NodeDependencies, input: UnpublishInput): Promise<void> {
  await deps.lock.run(input.idText, 'NodeUnpublishVolume', input.targetPath, async () => {
    try {
      await clearAside(deps, input.targetPath);
      await cleanupMountPoint(input.targetPath, deps.mounter, { probeTimeoutMs });
    } catch (error) {
      throw asDriverError(error);
    }
  });
}
