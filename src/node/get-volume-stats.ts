import { stat, statfs } from 'node:fs/promises';
import { deviceSizeBytes } from 'mount-utils-ts';
import type { InodeUsage } from '../backend/backend.js';
import { DriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import { withDeadline } from '../platform/deadline.js';
import { deadMountSentence, mountState, probeTimeoutMs } from './mount-state.js';
import { backendOf, type NodeDependencies } from './node-service.js';
import { volumeAt, type VolumePathInput } from './volume-at.js';

/** Bytes or inodes, as CSI's VolumeUsage has them: a total of 0 says that there is no limit to tell. */
export interface VolumeUsage {
  readonly unit: 'BYTES' | 'INODES';
  readonly total: bigint;
  readonly used: bigint;
  readonly available: bigint;
}

/**
 * What df shows of a published or staged volume; a block device's size. Never waits for a mount that hangs.
 * @throws DriverError NOT_FOUND, UNAVAILABLE (the mount doesn't answer).
 */
export async function getVolumeStats(
  ctx: CallContext,
  deps: NodeDependencies,
  input: VolumePathInput,
): Promise<VolumeUsage[]> {
  const { volumePath } = input;
  const { id } = await volumeAt(deps, input);
  const backend = backendOf(deps, id);
  const state = await mountState(volumePath, await backend.isServed(ctx, id));
  if (state !== 'present') {
    ctx.log.warn({ volumePath, state }, 'the mount does not answer');
    const code = state === 'absent' ? 'NOT_FOUND' : 'UNAVAILABLE';
    throw new DriverError(code, deadMountSentence(`volume_path ${volumePath}`, state));
  }
  const found = await stat(volumePath);
  if (found.isBlockDevice()) {
    const total = await deviceSizeBytes(volumePath);
    return [{ unit: 'BYTES', total, used: 0n, available: 0n }];
  }
  const fs = await withDeadline(statfs(volumePath, { bigint: true }), probeTimeoutMs, `statfs ${volumePath}`);
  return [
    {
      unit: 'BYTES',
      total: fs.blocks * fs.bsize,
      used: (fs.blocks - fs.bfree) * fs.bsize,
      available: fs.bavail * fs.bsize,
    },
    inodeUsage(await backend.inodes?.(ctx, id, volumePath), fs),
  ];
}

function inodeUsage(own: InodeUsage | undefined, fs: { files: bigint; ffree: bigint }): VolumeUsage {
  if (own === undefined) return { unit: 'INODES', total: fs.files, used: fs.files - fs.ffree, available: fs.ffree };
  const { used, total } = own;
  return { unit: 'INODES', total, used, available: total > used ? total - used : 0n };
}
