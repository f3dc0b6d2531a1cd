import type { ControllerBackend, CreateSnapshotInput, CreateVolumeInput, VolumePlan } from '../backend/backend.js';
import { snapshotNameFor } from '../backend/object-name.js';
import { DriverError } from '../domain/errors.js';
import { describePlaces, meets, type Reach, type TopologyRequirement } from '../domain/topology.js';
import { formatVolumeId, type VolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import type { ControllerDependencies } from './controller-service.js';

type ClusterReach = Pick<ControllerDependencies, 'clusterReach'>;

/** With the place that is its own, else its cluster's. */
export function withReach<T extends { readonly reach?: Reach | undefined }>(
  { clusterReach }: ClusterReach,
  volume: VolumeId,
  found: T,
): T {
  return { ...found, reach: found.reach ?? clusterReach(volume.clusterId) };
}

/**
 * For a volume that can only lie in one place. Looks for it only when it would lie in the wrong one.
 * @throws DriverError RESOURCE_EXHAUSTED, ALREADY_EXISTS when it is there (CSI spec, CreateVolume Errors).
 */
export async function refuseUnreachable(
  ctx: CallContext,
  { clusterReach }: ClusterReach,
  backend: ControllerBackend,
  plan: VolumePlan,
  { name, requirement, credentials }: CreateVolumeInput,
): Promise<void> {
  const reach = clusterReach(plan.id.clusterId);
  if (plan.elsewhere !== undefined || requirement === undefined || meets(reach, requirement)) return;
  const isThere = (await backend.findVolume(ctx, plan.id, credentials)) !== undefined;
  throw unreachable(isThere, `volume "${name}"`, plan.id.clusterId, reach, requirement);
}

/** A snapshot lies where its volume does. @throws DriverError NOT_FOUND (no such volume), RESOURCE_EXHAUSTED, ALREADY_EXISTS. */
export async function refuseUnreachableSnapshot(
  ctx: CallContext,
  deps: ClusterReach,
  backend: ControllerBackend,
  { name, source, requirement, credentials }: CreateSnapshotInput,
): Promise<void> {
  if (requirement === undefined) return;
  const volume = await backend.findVolume(ctx, source, credentials);
  if (volume === undefined)
    throw new DriverError('NOT_FOUND', `volume ${formatVolumeId(source)} does not exist: nothing can be taken of it`);
  const { reach = [] } = withReach(deps, source, volume);
  if (meets(reach, requirement)) return;
  const taken = await backend.snapshots.find(ctx, { source, name: snapshotNameFor(name) }, credentials);
  throw unreachable(taken !== undefined, `snapshot "${name}"`, source.clusterId, reach, requirement);
}

function unreachable(
  isThere: boolean,
  what: string,
  clusterId: string,
  reach: Reach,
  { requisite }: TopologyRequirement,
): DriverError {
  const where = `in cluster "${clusterId}" ${what} can be reached from ${describePlaces(reach)}, and accessibility_requirements asks for ${describePlaces(requisite)}`;
  if (isThere)
    return new DriverError('ALREADY_EXISTS', `${what} exists already, and not there: ${where}; use another name`);
  return new DriverError(
    'RESOURCE_EXHAUSTED',
    `${where}: use a StorageClass of a cluster that is reachable from there, or correct the cluster's topology in the driver's configuration`,
  );
}
