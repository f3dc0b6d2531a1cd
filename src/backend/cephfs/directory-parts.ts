import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephFileSystem, PlacedEntry } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';

/** Read at once also when fewer are wanted, because a few are none of ours and one more tells whether there is another page. */
const fewest = 32;

/**
 * What is in a directory, a part at a time, so that a page takes as long as it is large and not as the directory is; nothing when it
 * isn't there. The order is Ceph's own, and stays while entries come and go.
 * @param after the place of the last one seen, '' for none; @param room how many more are wanted, 0 = all
 * @throws DriverError ABORTED when it is no place (CSI spec, ListVolumes and ListSnapshots Errors).
 */
export async function* directoryParts(
  ctx: CallContext,
  fs: CephFileSystem,
  path: string,
  after: string,
  room: () => number,
): AsyncGenerator<readonly PlacedEntry[]> {
  for (let last = after; ;) {
    const part = await ifPresent(listPart(ctx, fs, path, last, room() + fewest));
    if (part === undefined) return;
    const waiting = [...part.entries];
    while (waiting.length > 0) yield waiting.splice(0, Math.max(room() + 1, fewest));
    const end = part.entries.at(-1);
    if (part.isLast || end === undefined) return;
    last = end.place;
  }
}

async function listPart(ctx: CallContext, fs: CephFileSystem, path: string, after: string, count: number) {
  try {
    return await fs.listPart(ctx, path, after, count);
  } catch (error) {
    if (!isCephError(error, errno.EINVAL)) throw error;
    throw new DriverError('ABORTED', 'starting_token is not one that this list gave out: start again without it', {
      cause: error,
    });
  }
}
