import type { CephConnection } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';

/**
 * The MDS takes any pool's name and says EINVAL only; a volume that can't hold data must not be made.
 * @throws DriverError INVALID_ARGUMENT naming the file system's data pools.
 */
export async function refuseForeignPool(
  ctx: CallContext,
  connection: CephConnection,
  { clusterId, fsName }: CephfsVolumeId,
  { parameter, pool }: { readonly parameter: string; readonly pool: string },
): Promise<void> {
  const pools = (await connection.fileSystems(ctx)).find(({ name }) => name === fsName)?.dataPools ?? [];
  if (pools.includes(pool)) return;
  throw new DriverError(
    'INVALID_ARGUMENT',
    `${parameter}: pool "${pool}" is no data pool of file system "${fsName}" in cluster "${clusterId}", which has ${pools.join(', ')}: name one of these, or add it (ceph fs add_data_pool ${fsName} ${pool})`,
  );
}
