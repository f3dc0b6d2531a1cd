import { mkdir } from 'node:fs/promises';
import type { MounterLike } from 'mount-utils-ts';
import type { CephClient } from '../../ceph/client.js';
import { accessTo, type Clusters } from '../../ceph/clusters.js';
import { DriverError } from '../../domain/errors.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import { withDeadline } from '../../platform/deadline.js';
import { checkAccess } from './check-access.js';
import { chooseMounter } from './choose-mounter.js';
import { explainMountFailure } from './explain-mount-failure.js';
import { FileSystems } from './file-systems.js';
import { findView } from './find-view.js';
import type { MountedAttributes } from './mounted-clients.js';
import type { CephfsMounter } from './mounter.js';
import type { NodeParameters } from './node-parameters.js';

const umountTimeoutMs = 5_000;
const otherClientTimeoutMs = 3_000;

export interface MountDirectoryDependencies {
  readonly clusters: Clusters;
  readonly ceph: CephClient;
  readonly mounter: MounterLike;
  /** In the order in which `auto` tries them. */
  readonly mounters: readonly CephfsMounter[];
  /** Extended attributes of paths on this node. */
  readonly attributes: MountedAttributes;
}

export interface DirectoryMount {
  readonly id: CephfsVolumeId;
  readonly target: string;
  readonly readOnly: boolean;
  readonly parameters: NodeParameters;
  /** Options for whichever mounter it is. */
  readonly flags: readonly string[];
  readonly credentials: Credentials | undefined;
}

/**
 * Mounts the volume's directory at the target, where nothing is mounted, and sees that its user may use it.
 * @throws DriverError NOT_FOUND (file system or directory), PERMISSION_DENIED, UNAUTHENTICATED, UNAVAILABLE, FAILED_PRECONDITION.
 */
export async function mountDirectory(
  ctx: CallContext,
  deps: MountDirectoryDependencies,
  request: DirectoryMount,
): Promise<void> {
  const { id, target, readOnly, parameters } = request;
  const access = accessTo(deps.clusters.ofVolume(id), request.credentials);
  // A wrong key and a monitor that is down show here already, with an errno.
  const connection = await deps.ceph.connect(ctx, access);
  const mounter = await chooseMounter(ctx, deps.mounters, parameters.mounter);
  const fileSystems = new FileSystems(deps.clusters, deps.ceph);
  const view = id.isView === true ? await findView(ctx, fileSystems, id, request.credentials) : undefined;
  await mkdir(target, { recursive: true, mode: 0o750 });
  try {
    await mounter.mount(ctx, {
      id,
      path: view?.directory ?? id.path,
      target,
      readOnly,
      monitors: connection.monitors,
      user: access.user,
      key: access.key,
      keyring: access.key === undefined ? connection.keyring : undefined,
      options: [...parameters.options[mounter.kind], ...request.flags],
    });
  } catch (error) {
    // What the mounter is sure of needs no second opinion.
    if (!(error instanceof DriverError && error.code === 'INTERNAL')) throw error;
    throw await explainMountFailure(ctx, connection, id, error);
  }
  try {
    // ceph-fuse can't mount a snapshot (16.2.15). Its directory is beneath, where nobody sees it.
    if (view !== undefined) await deps.mounter.bindMount(`${target}/.snap/${view.snapshot}`, target);
    const readAttribute = async (path: string, name: string) => deps.attributes.read(path, name);
    await checkAccess(ctx, { connection, id, target, forWriting: !readOnly, readAttribute });
  } catch (error) {
    for (let layers = view === undefined ? 1 : 2; layers > 0; layers--)
      await deps.mounter.unmountWithForce(target, umountTimeoutMs);
    await mounter.release(ctx, id);
    throw error;
  }
}

/** Does the MDS answer for the directory when another client, libcephfs in this process, asks for it now? */
export async function isServedToOthers(
  ctx: CallContext,
  { clusters, ceph }: MountDirectoryDependencies,
  id: CephfsVolumeId,
  credentials: Credentials | undefined,
): Promise<boolean> {
  const ask = async (): Promise<boolean> => {
    const connection = await ceph.connect(ctx, accessTo(clusters.ofVolume(id), credentials));
    const fs = await connection.fileSystem(ctx, id.fsName, [id.path]);
    // The owner is known to clients that hold the directory's attributes; its snapshots are asked of the MDS each time.
    await fs.list(ctx, `${id.path}/.snap`);
    return true;
  };
  return withDeadline(ask(), otherClientTimeoutMs, 'the file system').catch((error: unknown) => {
    ctx.log.debug({ err: error }, 'no other client is answered either');
    return false;
  });
}
