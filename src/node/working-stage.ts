import type { NodeBackend, StagedVolume } from '../backend/backend.js';
import { DriverError } from '../domain/errors.js';
import { formatVolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import type { PublishInput } from './node-service.js';

/**
 * The staged volume that a publish binds. One whose daemon or client has died is staged anew first, with what the request has and
 * else with the cluster's own credentials: after a node's trouble nobody but NodePublishVolume may be called again.
 * @throws DriverError FAILED_PRECONDITION (not staged at the path; dead, and can't be staged anew).
 */
export async function workingStage(ctx: CallContext, backend: NodeBackend, input: PublishInput): Promise<StagedVolume> {
  const { id, stagingPath, capability, context, attached, credentials, passphrase } = input;
  const staged = await backend.staged(ctx, id, stagingPath);
  // One that a fenced client serves works as little; the backend knows whether it is that one.
  if (staged?.works === true && attached.fencedClients.length === 0) return staged;
  const volume = `volume ${formatVolumeId(id)}`;
  if (staged === undefined) {
    throw new DriverError(
      'FAILED_PRECONDITION',
      `${volume} is not staged at staging_target_path ${stagingPath}: call NodeStageVolume with that path first`,
    );
  }
  if (!staged.works) {
    ctx.log.warn({ stagingPath }, 'what served the staged volume has died: staging it anew for this publish');
  }
  try {
    await backend.stage(ctx, { id, stagingPath, capability, context, attached, credentials, passphrase });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    // Only whether its client was fenced could not be found out, mostly for want of credentials: NodeStageVolume has had them.
    const still = staged.works ? await backend.staged(ctx, id, stagingPath) : undefined;
    if (still?.works === true) {
      ctx.log.warn(
        { stagingPath, reason: why },
        'not known whether the staged client was fenced: publishing it as it is',
      );
      return still;
    }
    throw new DriverError(
      'FAILED_PRECONDITION',
      `${volume} is staged at ${stagingPath} but what served it has died, and staging it anew failed: ${why}; unpublish it everywhere, then repeat NodeStageVolume`,
      { cause: error },
    );
  }
  const healed = await backend.staged(ctx, id, stagingPath);
  if (healed?.works === true) return healed;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `${volume} was staged anew at ${stagingPath} and died again: look at the driver's log, then repeat NodeStageVolume`,
  );
}
