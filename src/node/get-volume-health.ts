import type { PathState } from 'mount-utils-ts';
import { DriverError } from '../domain/errors.js';
import type { VolumeTrouble } from '../domain/health.js';
import type { VolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import { deadMountSentence, mountState } from './mount-state.js';
import { backendOf, type NodeDependencies } from './node-service.js';

export interface NodeVolumeHealthInput {
  /** undefined for an id that Cuttle can't have given out. */
  readonly id: VolumeId | undefined;
  readonly idText: string;
  /** undefined when the request doesn't name it. */
  readonly publishPath: string | undefined;
  readonly stagingPath: string | undefined;
}

export interface NodeVolumeHealth {
  readonly id: VolumeId;
  /** Empty when nothing is known to be wrong. */
  readonly troubles: readonly VolumeTrouble[];
}

type DeadState = Exclude<PathState, 'present'>;

/** The root of a mount whose client was shut out answers ENOENT. */
const reasons: Readonly<Record<DeadState, string>> = {
  corrupted: 'MountDead',
  absent: 'MountDead',
  hung: 'MountHangs',
};

/**
 * What is wrong with a volume's mounts on this node: at the paths that the request names, everywhere if it names none. Looks at the
 * kernel's tables and asks the mounts, all at once, never the cluster; never waits for a mount that hangs.
 * @throws DriverError NOT_FOUND when the volume is at none of these paths.
 */
export async function getVolumeHealth(
  ctx: CallContext,
  deps: NodeDependencies,
  input: NodeVolumeHealthInput,
): Promise<NodeVolumeHealth> {
  const { id, publishPath, stagingPath } = input;
  if (id === undefined) throw notHere(input);
  const backend = backendOf(deps, id);
  const all = await backend.mountsOf(id);
  const anywhere = publishPath === undefined && stagingPath === undefined;
  const mounts = all.filter((mount) => anywhere || mount === publishPath || isStagedAt(mount, stagingPath));
  if (mounts.length === 0) throw notHere(input);
  const served = await backend.isServed(ctx, id);
  const troubles = await Promise.all([...new Set(mounts)].map(async (mount) => troubleAt(ctx, mount, served)));
  const missing = publishPath === undefined || mounts.includes(publishPath) ? [] : [missingAt(publishPath)];
  return { id, troubles: onePerReason([...missing, ...troubles.flat()]) };
}

/** A block device is bound to a file in the staging directory. */
function isStagedAt(mount: string, path: string | undefined): boolean {
  return path !== undefined && (mount === path || mount.startsWith(`${path}/`));
}

async function troubleAt(ctx: CallContext, mount: string, served: boolean): Promise<VolumeTrouble[]> {
  const state = await mountState(mount, served);
  if (state === 'present') return [];
  ctx.log.warn({ path: mount, state }, 'the mount does not answer');
  return [{ status: 'INACCESSIBLE', reason: reasons[state], message: deadMountSentence(mount, state) }];
}

function missingAt(path: string): VolumeTrouble {
  return {
    status: 'INACCESSIBLE',
    reason: 'NotMounted',
    message: `the volume is staged and not mounted at volume_publish_path ${path}: it is there when it is published anew`,
  };
}

/** CSI spec, VolumeHealthEntry: no two with the same status and reason. */
function onePerReason(troubles: readonly VolumeTrouble[]): VolumeTrouble[] {
  return troubles.filter(({ reason }, i) => troubles.findIndex((one) => one.reason === reason) === i);
}

function notHere({ idText, publishPath, stagingPath }: NodeVolumeHealthInput): DriverError {
  const where = [publishPath, stagingPath].filter((path) => path !== undefined).join(' or ');
  return new DriverError('NOT_FOUND', `volume "${idText}" is not on this node${where === '' ? '' : ` at ${where}`}`);
}
