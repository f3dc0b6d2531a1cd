import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephConnection } from '../../ceph/client.js';
import type { VolumeTrouble } from '../../domain/health.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { VolumePlace } from '../backend.js';
import { eachCluster } from '../each-cluster.js';
import { type FullPools, fullPools, fullTroubles } from '../full-pools.js';
import type { FileSystems } from './file-systems.js';

/** What a cluster's monitors say. */
interface ClusterState {
  readonly full: FullPools;
  /** By the file system's name. */
  readonly dataPools: ReadonlyMap<string, readonly string[]>;
  /** By the file system's name, for those that no MDS serves: why. */
  readonly unserved: ReadonlyMap<string, string>;
}

/**
 * Some monitor commands for each cluster and none for a volume: which pool a directory's files go to says its record.
 * @throws DriverError NOT_FOUND (an unknown cluster), UNAVAILABLE.
 */
export async function volumeTroubles(
  ctx: CallContext,
  fileSystems: FileSystems,
  volumes: readonly VolumePlace<CephfsVolumeId>[],
  credentials: Credentials | undefined,
): Promise<VolumeTrouble[][]> {
  const states = await eachCluster(volumes, async ({ clusterId }) => {
    const cluster = fileSystems.clusters.ofVolume({ clusterId });
    const names = new Set(volumes.filter(({ id }) => id.clusterId === clusterId).map(({ id }) => id.fsName));
    return stateOf(ctx, await fileSystems.connect(ctx, cluster.id, credentials), [...names]);
  });
  return volumes.map((volume) => {
    const state = states.get(volume.id.clusterId);
    return state === undefined ? [] : troublesIn(state, volume);
  });
}

function troublesIn(state: ClusterState, volume: VolumePlace<CephfsVolumeId>): VolumeTrouble[] {
  const { id } = volume;
  const troubles = fullTroubles(state.full, poolsOf(state, volume), id.clusterId);
  const message = state.unserved.get(id.fsName);
  return message === undefined ? troubles : [{ status: 'INACCESSIBLE', reason: 'NoActiveMds', message }, ...troubles];
}

/** Those whose being full stops writes to the volume; where no record names its pool, all that it may be. Nobody writes to a view. */
function poolsOf({ full, dataPools }: ClusterState, { id, dataPool }: VolumePlace<CephfsVolumeId>): readonly string[] {
  if (id.isView === true) return [];
  if (dataPool !== undefined) return [dataPool];
  const all = dataPools.get(id.fsName) ?? [];
  return all.every((pool) => full.has(pool)) ? all : [];
}

async function stateOf(ctx: CallContext, connection: CephConnection, names: readonly string[]): Promise<ClusterState> {
  // First of all: when they have answered, what times out afterwards is no monitor.
  const full = await fullPools(async (command) => connection.monCommand(ctx, command));
  const [known, unserved] = await Promise.all([
    connection.fileSystems(ctx),
    Promise.all(names.map(async (name) => [name, await whyUnserved(ctx, connection, name)] as const)),
  ]);
  return {
    full,
    dataPools: new Map(known.map(({ name, dataPools }) => [name, dataPools])),
    unserved: new Map(unserved.flatMap(([name, why]) => (why === undefined ? [] : [[name, why]]))),
  };
}

/** undefined for one that is served, or that isn't there: its volumes don't exist. */
async function whyUnserved(ctx: CallContext, connection: CephConnection, name: string): Promise<string | undefined> {
  try {
    await connection.checkServed(ctx, name);
    return undefined;
  } catch (error) {
    if (isCephError(error, errno.ENOENT)) return undefined;
    if (isCephError(error, errno.ETIMEDOUT)) return error.message;
    throw error;
  }
}
