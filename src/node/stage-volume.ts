import { stat } from 'node:fs/promises';
import { probePath } from 'mount-utils-ts';
import type { StageInput } from '../backend/backend.js';
import { DriverError } from '../domain/errors.js';
import { formatVolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import { backendOf, type NodeDependencies } from './node-service.js';

const probeTimeoutMs = 3_000;

/** @throws DriverError as CSI's NodeStageVolume Errors say; a path that is a file changes nothing. */
export async function stageVolume(ctx: CallContext, deps: NodeDependencies, input: StageInput): Promise<void> {
  const backend = backendOf(deps, input.id);
  const fingerprint = JSON.stringify([input.stagingPath, input.capability, input.context, input.attached]);
  await deps.lock.run(formatVolumeId(input.id), 'NodeStageVolume', fingerprint, async () => {
    await refuseFile(input.stagingPath);
    await backend.stage(ctx, input);
  });
}

async function refuseFile(path: string): Promise<void> {
  // What is mounted there may hang; the backend says what to do about it.
  if ((await probePath(path, probeTimeoutMs)) !== 'present') return;
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || found.isDirectory()) return;
  throw new DriverError(
    'INVALID_ARGUMENT',
    `staging_target_path ${path} is a file: it must be a directory, or a path where none is yet`,
  );
}
