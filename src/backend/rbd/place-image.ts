import { ifPresent } from '../../ceph/ceph-error.js';
import { DriverError } from '../../domain/errors.js';
import { choosePlace, describePlaces, isReachable, meets } from '../../domain/topology.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Volume } from '../backend.js';
import { sourceText } from '../content-source.js';
import { parseRecord, type VolumeRecord } from '../volume-record.js';
import { conflict, type CreateRequest } from './create-request.js';
import type { ImagePlace } from './image-places.js';
import type { ImagePools, OpenedPool } from './image-pools.js';
import { recordKey, recordPlace } from './metadata-keys.js';
import { whilePlacing } from './placing.js';
import { sourceReach } from './source-reach.js';

/** An image of the name that is asked for. */
interface Taken {
  readonly pool: string;
  /** undefined for one that was cut off before it had one. */
  readonly record: VolumeRecord | undefined;
}

/**
 * A volume whose StorageClass names several pools. The image of an earlier request decides, in whichever of them it is; else the first
 * place that the request's topology allows.
 * @param pools all that the image may be in
 * @param places where a new one may be made
 * @throws DriverError ALREADY_EXISTS (it is where it can't be reached), RESOURCE_EXHAUSTED (no pool can), ABORTED.
 */
export async function inChosenPlace(
  ctx: CallContext,
  deps: { readonly pools: ImagePools },
  request: CreateRequest,
  { pools, places }: { readonly pools: readonly string[]; readonly places: readonly ImagePlace[] },
  make: (ctx: CallContext, request: CreateRequest) => Promise<Volume>,
): Promise<Volume> {
  const { id, input } = request;
  const opened = await Promise.all(pools.map(async (pool) => deps.pools.open(ctx, { ...id, pool }, input.credentials)));
  const before = await findTaken(ctx, opened, id);
  if (before !== undefined) return make(ctx, at(request, placeOfTaken(request, before, places)));
  const place = await choose(ctx, deps.pools, request, places);
  const [home] = [...opened].sort((a, b) => (a.pool.name < b.pool.name ? -1 : 1));
  if (home === undefined) throw new DriverError('INTERNAL', 'a StorageClass without a pool');
  const { osdMs, monMs } = home.access.timeouts;
  const placing = { home: home.pool, image: id.image, pool: place.pool, callMs: Math.max(osdMs, monMs) };
  return whilePlacing(ctx, placing, async (within) => {
    // Once more, now that nobody else decides: the one before may have made it since the first look.
    const since = await findTaken(within, opened, id);
    return make(within, at(request, since === undefined ? place : placeOfTaken(request, since, places)));
  });
}

async function findTaken(
  ctx: CallContext,
  opened: readonly OpenedPool[],
  { image }: RbdVolumeId,
): Promise<Taken | undefined> {
  const found = await Promise.all(
    opened.map(async ({ pool }) => {
      // Also one without a header: it is completed where it is.
      if ((await ifPresent(pool.images.id(ctx, image))) === undefined) return undefined;
      const text = (await ifPresent(pool.images.header(ctx, image, [recordKey])))?.metadata.get(recordKey);
      return { pool: pool.name, record: text === undefined ? undefined : parseRecord(text, recordPlace(image)) };
    }),
  );
  return found.find((one) => one !== undefined);
}

function placeOfTaken(request: CreateRequest, taken: Taken, places: readonly ImagePlace[]): ImagePlace {
  const { name, requirement } = request.input;
  // RBD gives a clone a copy of its parent's record.
  const chosen = taken.record?.name === name ? taken.record.place : undefined;
  const here = places.filter(({ pool }) => pool === taken.pool);
  const place =
    chosen === undefined
      ? (choosePlace(here, requirement) ?? here[0])
      : { pool: taken.pool, dataPool: chosen.dataPool, reach: chosen.reach };
  const taking = at(request, { pool: taken.pool, dataPool: undefined, reach: [] });
  if (place === undefined) throw conflict(taking, `its pool is none of those that accessibility_requirements allow`);
  if (meets(place.reach, requirement)) return place;
  throw conflict(
    taking,
    `it can be reached from ${describePlaces(place.reach)}, and accessibility_requirements asks for ${describePlaces(requirement?.requisite ?? [])}`,
  );
}

/** A clone reads from its source until it is flat: it lies only where the source is reached as well. */
async function choose(
  ctx: CallContext,
  pools: ImagePools,
  { input, id }: CreateRequest,
  places: readonly ImagePlace[],
): Promise<ImagePlace> {
  const { requirement, source, credentials } = input;
  const data = source === undefined ? [] : await sourceReach(ctx, pools, id.clusterId, source, credentials);
  const within = ({ reach }: ImagePlace) =>
    data.length === 0 || (reach.length > 0 && reach.every((place) => isReachable(data, place)));
  const place = choosePlace(places.filter(within), requirement);
  if (place !== undefined) return place;
  const what =
    source === undefined
      ? `volume "${input.name}"`
      : `volume "${input.name}", which shares the data of ${sourceText(source)} that is reached from ${describePlaces(data)},`;
  const there = places.map(({ pool, reach }) => `pool "${pool}" from ${describePlaces(reach)}`).join(', ');
  throw new DriverError(
    'RESOURCE_EXHAUSTED',
    `no pool of parameter topologyConstrainedPools will do for ${what} wanted in ${describePlaces(requirement?.requisite ?? [])}: there is ${there === '' ? 'none' : there}; add a pool to the StorageClass, or let the pod run where one can be reached`,
  );
}

/** The request, settled on a place. */
function at(request: CreateRequest, { pool, dataPool, reach }: ImagePlace): CreateRequest {
  return {
    ...request,
    id: { ...request.id, pool },
    parameters: { ...request.parameters, pool, dataPool },
    record: { ...request.record, place: { reach, ...(dataPool === undefined ? {} : { dataPool }) } },
  };
}
