import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephConnection } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { capabilityAdvice } from './capability-advice.js';

/**
 * Why a mounter has failed. Its exit code doesn't say (ceph-fuse: 1 for everything), so libcephfs is asked for the same
 * directory as the same user: its errno does.
 * @returns the error to throw; `failure` itself when libcephfs finds nothing wrong.
 */
export async function explainMountFailure(
  ctx: CallContext,
  connection: CephConnection,
  id: CephfsVolumeId,
  failure: unknown,
): Promise<unknown> {
  try {
    const fs = await connection.fileSystem(ctx, id.fsName, [id.path]);
    if ((await fs.status(ctx, id.path)).isDirectory) {
      // An MDS that is back from a pause answers before the monitors count on it again, and ceph-fuse gives up on their word.
      await connection.checkServed(ctx, id.fsName);
      return failure;
    }
    return new DriverError(
      'FAILED_PRECONDITION',
      `${where(id)} is no directory: correct the volume id in the PersistentVolume`,
      { cause: failure },
    );
  } catch (error) {
    if (isCephError(error, errno.ENOENT)) return missing(ctx, connection, id, error);
    if (isCephError(error, errno.EPERM) || isCephError(error, errno.EACCES)) return refused(connection, id, error);
    if (isCephError(error, errno.ETIMEDOUT)) return error;
    ctx.log.debug({ err: error }, 'libcephfs does not say why the mount failed');
    return failure;
  }
}

async function missing(
  ctx: CallContext,
  connection: CephConnection,
  id: CephfsVolumeId,
  cause: unknown,
): Promise<DriverError> {
  const names = (await connection.fileSystems(ctx).catch(() => undefined))?.map((fs) => fs.name);
  if (names !== undefined && !names.includes(id.fsName)) {
    const known = names.map((name) => `"${name}"`).join(', ');
    return new DriverError(
      'NOT_FOUND',
      `there is no file system "${id.fsName}" in cluster "${id.clusterId}" that client.${connection.user} may see (it has ${known === '' ? 'none' : known}): correct the volume id in the PersistentVolume, or the user's mon capabilities`,
      { cause },
    );
  }
  return new DriverError(
    'NOT_FOUND',
    `${where(id)} does not exist: create the directory, or correct the volume id in the PersistentVolume`,
    { cause },
  );
}

function refused(connection: CephConnection, id: CephfsVolumeId, cause: unknown): DriverError {
  return new DriverError(
    'PERMISSION_DENIED',
    `client.${connection.user} may not mount ${where(id)}: its MDS capabilities don't reach that path; allow it by: ${capabilityAdvice(id, connection.user)}`,
    { cause },
  );
}

function where(id: CephfsVolumeId): string {
  return `directory "${id.path}" of file system "${id.fsName}" in cluster "${id.clusterId}"`;
}
