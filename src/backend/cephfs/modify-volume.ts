import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import { DriverError, isDriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { maxFilesAttribute, poolAttribute } from './attributes.js';
import { refuseForeignPool } from './data-pools.js';
import type { OpenedFileSystem } from './file-systems.js';
import type { MutableParameters } from './mutable-parameters.js';

/** How long taking back may last when the request's own time is over. */
const restoreMs = 10_000;

/**
 * Sets quota and layout of the volume's directory. What can be wrong is looked at first; what the MDS refuses all the same is the
 * pool, which comes last: then the number of files is what it was.
 * @throws DriverError NOT_FOUND, INVALID_ARGUMENT with nothing changed.
 */
export async function modifyDirectory(
  ctx: CallContext,
  { connection, fs }: Pick<OpenedFileSystem, 'connection' | 'fs'>,
  id: CephfsVolumeId,
  { maxFiles, layoutPool }: MutableParameters,
): Promise<void> {
  const found = await ifPresent(fs.attributes(ctx, id.path, [maxFilesAttribute]));
  if (found === undefined) {
    throw new DriverError(
      'NOT_FOUND',
      `volume ${formatVolumeId(id)} does not exist: there is no directory ${id.path} in file system "${id.fsName}"`,
    );
  }
  if (layoutPool !== undefined) {
    await refuseForeignPool(ctx, connection, id, { parameter: 'mutable parameter layoutPool', pool: layoutPool });
  }
  if (maxFiles !== undefined) await fs.setAttribute(ctx, id.path, maxFilesAttribute, maxFiles.toString());
  if (layoutPool === undefined) return;
  try {
    await fs.setAttribute(ctx, id.path, poolAttribute, layoutPool);
  } catch (error) {
    // Without an answer nobody knows what holds, and the orchestrator asks again.
    if (maxFiles !== undefined && !isDriverError(error, 'UNAVAILABLE'))
      await restore(ctx, fs, id, found.get(maxFilesAttribute) ?? '0');
    throw error;
  }
}

async function restore(ctx: CallContext, fs: CephFileSystem, id: CephfsVolumeId, maxFiles: string): Promise<void> {
  try {
    const own = { ...ctx, signal: AbortSignal.timeout(restoreMs) };
    await fs.setAttribute(own, id.path, maxFilesAttribute, maxFiles);
  } catch (error) {
    ctx.log.warn({ err: error, path: id.path, maxFiles }, 'a change that failed half-way could not be taken back');
  }
}
