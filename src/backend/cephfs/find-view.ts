import { DriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { FileSystems } from './file-systems.js';
import { findShown, readSnapshot } from './locate-snapshot.js';
import { readView } from './views.js';
import { homeOf } from './volume-paths.js';

/** A snapshot as it is reached through a mount. */
export interface ViewPlace {
  /** The directory that has the snapshot. */
  readonly directory: string;
  readonly snapshot: string;
}

/**
 * Where the snapshot lies that a volume shows: beneath the volume that it was taken of, be it deleted or not. The volume's record says it.
 * @throws DriverError NOT_FOUND.
 */
export async function findView(
  ctx: CallContext,
  fileSystems: FileSystems,
  id: CephfsVolumeId,
  credentials: Credentials | undefined,
): Promise<ViewPlace> {
  const { fs, cluster } = await fileSystems.open(ctx, id, credentials);
  const view = await readView(ctx, fs, id);
  if (view === undefined) {
    throw new DriverError(
      'NOT_FOUND',
      `volume ${formatVolumeId(id)} does not exist: there is no directory ${id.path} in file system "${id.fsName}" that shows a snapshot`,
    );
  }
  const { snapshot } = view;
  const directory = await findShown(ctx, fs, homeOf(fs.root, cluster.cephfs.groupPath, view.path), view);
  if (directory !== undefined && (await readSnapshot(ctx, fs, directory, snapshot)) !== undefined)
    return { directory, snapshot };
  throw new DriverError(
    'NOT_FOUND',
    `volume ${formatVolumeId(id)} shows snapshot ${snapshot} of ${view.path}, which is gone: restore that directory, or delete the volume`,
  );
}
