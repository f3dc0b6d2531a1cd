import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephConnection, CephFileSystem, FileSystemInfo } from '../../ceph/client.js';
import type { ClusterDefinition } from '../../ceph/clusters.js';
import { DriverError } from '../../domain/errors.js';
import { isReachable, type Segments } from '../../domain/topology.js';
import type { CallContext } from '../../platform/call-context.js';
import type { StringMap } from '../backend.js';
import { maxBytesAttribute, usedBytesAttribute } from './attributes.js';
import { sizeOf } from './create-request.js';
import type { FileSystems } from './file-systems.js';
import { parseParameters } from './parameters.js';
import { parentOf } from './volume-paths.js';

/**
 * Bytes that a new volume could still hold: what its data pool has left, and what quotas above it leave.
 * @param from only what can be reached from there counts; undefined: all does
 * @throws DriverError INVALID_ARGUMENT for parameters that name no such place.
 */
export async function availableBytes(
  ctx: CallContext,
  fileSystems: FileSystems,
  parameters: StringMap,
  from: Segments | undefined,
): Promise<bigint> {
  const isFor = ({ topology }: ClusterDefinition) => from === undefined || isReachable(topology, from);
  if (parameters.fsName === undefined && parameters.clusterID === undefined && parameters.pool === undefined) {
    return largest(
      await Promise.all(
        fileSystems.clusters
          .all()
          .filter(isFor)
          .map(async (cluster) => anywhereIn(ctx, fileSystems, cluster.id)),
      ),
    );
  }
  const { clusterId, fsName, pool } = parseParameters(parameters);
  const cluster = fileSystems.clusters.require(clusterId);
  if (!isFor(cluster)) return 0n;
  const wanted = fsName ?? cluster.cephfs.fsName;
  const connection = await fileSystems.connect(ctx, cluster.id);
  const known = await connection.fileSystems(ctx);
  const info = known.find((one) => one.name === wanted);
  if (info === undefined || (pool !== undefined && !info.dataPools.includes(pool))) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      info === undefined
        ? `file system "${wanted}" does not exist in cluster "${cluster.id}", which has ${names(known.map((one) => one.name))}: correct fsName in the StorageClass`
        : `pool "${pool ?? ''}" is no data pool of file system "${wanted}", which has ${names(info.dataPools)}: correct pool in the StorageClass`,
    );
  }
  return availableIn(ctx, fileSystems, connection, cluster.id, info, pool);
}

async function anywhereIn(ctx: CallContext, fileSystems: FileSystems, clusterId: string): Promise<bigint> {
  const connection = await fileSystems.connect(ctx, clusterId);
  const all = await connection.fileSystems(ctx);
  return largest(
    await Promise.all(all.map(async (info) => availableIn(ctx, fileSystems, connection, clusterId, info, undefined))),
  );
}

async function availableIn(
  ctx: CallContext,
  fileSystems: FileSystems,
  connection: CephConnection,
  clusterId: string,
  info: FileSystemInfo,
  pool: string | undefined,
): Promise<bigint> {
  const path = fileSystems.clusters.require(clusterId).cephfs.groupPath;
  const [capacities, { fs }] = await Promise.all([
    connection.poolCapacities(ctx),
    fileSystems.open(ctx, { clusterId, fsName: info.name, path }, undefined),
  ]);
  const inPool = capacities.find(({ name }) => name === (pool ?? info.dataPools[0]))?.availableBytes ?? 0n;
  const left = await leftByQuotas(ctx, fs, path);
  return left === undefined || left > inPool ? inPool : left;
}

/** undefined when neither the directory nor one above it has a quota. */
async function leftByQuotas(ctx: CallContext, fs: CephFileSystem, path: string): Promise<bigint | undefined> {
  let least: bigint | undefined;
  for (let here = path; here.startsWith(fs.root); here = parentOf(here)) {
    const found = await ifPresent(fs.attributes(ctx, here, [maxBytesAttribute, usedBytesAttribute]));
    const quota = sizeOf(found?.get(maxBytesAttribute));
    if (quota !== undefined) {
      const used = BigInt(found?.get(usedBytesAttribute) ?? '0');
      const left = used > quota ? 0n : quota - used;
      if (least === undefined || left < least) least = left;
    }
    if (here === fs.root) break;
  }
  return least;
}

function largest(values: readonly bigint[]): bigint {
  return values.reduce((most, value) => (value > most ? value : most), 0n);
}

function names(all: readonly string[]): string {
  return all.length === 0 ? 'none' : all.map((name) => `"${name}"`).join(', ');
}
