import { csi } from '../src/csi/gen/csi.js';
import { call, type Driver } from '../test/harness/driver.js';
import { createRequest, deleteRequest } from '../test/harness/requests.js';
import { type Measured, measure, merge, p50 } from './measure.js';
import type { RawRbd } from './raw-rbd.js';
import type { Figure } from './table.js';

const batch = 40;
const rounds = 6;
/** Both sides' code is compiled and their connections are open before anything is measured. */
const warmUp = 200;

interface Side {
  readonly name: string;
  readonly run: (prefix: string, count: number, inFlight: number) => Promise<Measured>;
}

/** The Controller's RPCs beside the bare calls, in turns, so that a noisy neighbour meets both. */
export async function benchController(
  driver: Driver,
  raw: RawRbd,
  pool: string,
  progress: (text: string) => void,
): Promise<Figure[]> {
  const figures: Figure[] = [];
  const parameters = { pool };
  const create = async (name: string) =>
    call<csi.v1.CreateVolumeResponse>((done) =>
      driver.controller.CreateVolume(createRequest(name, { parameters }), done),
    );
  const remove = async (id: string) => call((done) => driver.controller.DeleteVolume(deleteRequest(id), done));
  const ids = new Map<string, string>();

  progress('warming up');
  await measure(warmUp, 4, async (i) => {
    const reply = await create(`warm-${i}`);
    await create(`warm-${i}`);
    await remove(reply.volume?.volume_id ?? '');
    await raw.create(`warm-raw-${i}`);
    await raw.trashMove(`warm-raw-${i}`);
  });
  await raw.emptyTrash();

  for (const inFlight of [1, 16]) {
    progress(`CreateVolume, ${inFlight} in flight`);
    const count = inFlight === 1 ? batch : batch * 4;
    const ours: Side = {
      name: `ours-${inFlight}`,
      run: async (prefix, n) =>
        measure(n, inFlight, async (i) => {
          const reply = await create(`${prefix}-${i}`);
          ids.set(`${prefix}-${i}`, reply.volume?.volume_id ?? '');
        }),
    };
    const floor: Side = {
      name: `raw-${inFlight}`,
      run: async (prefix, n) => measure(n, inFlight, async (i) => raw.create(`${prefix}-${i}`)),
    };
    const created = await inTurns(ours, floor, count, inFlight);
    figures.push(
      figure(
        'CreateVolume',
        inFlight,
        created,
        'rbd_create4',
        inFlight === 1 ? { of: 'ratio', most: 1.5 } : { of: 'ratio', least: 0.75 },
      ),
    );

    if (inFlight === 1) figures.push(await paced(created.ours, driver, raw));

    progress(`CreateVolume again, ${inFlight} in flight`);
    const again = await inTurns(
      { ...ours, run: async (prefix, n) => measure(n, inFlight, async (i) => create(`${prefix}-${i}`)) },
      { ...floor, run: async (prefix, n) => measure(n, inFlight, async (i) => raw.lookUp(`${prefix}-${i}`)) },
      count,
      inFlight,
    );
    figures.push(
      figure(
        'CreateVolume again',
        inFlight,
        again,
        'reading rbd_id',
        inFlight === 1 ? { of: 'value', most: 2 } : undefined,
      ),
    );

    progress(`DeleteVolume, ${inFlight} in flight`);
    const deleted = await inTurns(
      { ...ours, run: async (prefix, n) => measure(n, inFlight, async (i) => remove(ids.get(`${prefix}-${i}`) ?? '')) },
      { ...floor, run: async (prefix, n) => measure(n, inFlight, async (i) => raw.trashMove(`${prefix}-${i}`)) },
      count,
      inFlight,
    );
    figures.push(
      figure(
        'DeleteVolume',
        inFlight,
        deleted,
        'rbd_trash_move',
        inFlight === 1 ? { of: 'value', most: 10 } : undefined,
      ),
    );
    await raw.emptyTrash();
  }
  return figures;
}

/** Is CreateVolume as fast with 2,000 volumes in the pool as with 10? And what a list of them all takes. */
export async function benchFullPool(
  driver: Driver,
  raw: RawRbd,
  pool: string,
  volumes: number,
  progress: (text: string) => void,
): Promise<Figure[]> {
  const parameters = { pool };
  const create = async (name: string) =>
    call((done) => driver.controller.CreateVolume(createRequest(name, { parameters }), done));
  await measure(10, 1, async (i) => create(`few-${i}`));
  progress('CreateVolume with 10 volumes in the pool');
  const few = [
    await measure(batch, 1, async (i) => create(`with-10-a-${i}`)),
    await measure(batch, 1, async (i) => create(`with-10-b-${i}`)),
  ];
  progress(`filling the pool to ${volumes} volumes`);
  await measure(volumes - 10 - 2 * batch, 16, async (i) => create(`many-${i}`));
  progress(`CreateVolume with ${volumes} volumes in the pool`);
  const many = [
    await measure(batch, 1, async (i) => create(`with-many-a-${i}`)),
    await measure(batch, 1, async (i) => create(`with-many-b-${i}`)),
  ];
  const total = volumes + 2 * batch;
  progress(`ListVolumes of ${total}`);
  const list = async () => {
    const reply = await call<csi.v1.ListVolumesResponse>((done) =>
      driver.controller.ListVolumes(new csi.v1.ListVolumesRequest(), done),
    );
    if (reply.entries.length < total) throw new Error(`ListVolumes gave ${reply.entries.length} of ${total} volumes`);
  };
  const page = async () =>
    call((done) => driver.controller.ListVolumes(new csi.v1.ListVolumesRequest({ max_entries: 500 }), done));
  const figures: Figure[] = [
    {
      what: `CreateVolume p50, ${volumes} volumes in the pool`,
      ours: p50(merge(many)),
      floor: p50(merge(few)),
      floorIs: 'CreateVolume with 10 volumes',
      unit: 'ms',
      aim: { of: 'ratio', most: 1.1 },
    },
  ];
  for (const inFlight of [1, 16]) {
    const ours = await measure(inFlight === 1 ? 8 : 32, inFlight, list);
    const floor = await measure(inFlight === 1 ? 8 : 32, inFlight, async () => raw.list());
    figures.push({
      what: `ListVolumes of ${total} p50, ${inFlight} in flight`,
      ours: p50(ours),
      floor: p50(floor),
      floorIs: 'names alone (dir_list)',
      unit: 'ms',
    });
  }
  figures.push({ what: 'ListVolumes page of 500 p50', ours: p50(await measure(12, 1, page)), unit: 'ms' });
  return figures;
}

/**
 * The same library call at the pace of RPCs: after the wait for a gRPC round trip its threads and caches are as cold as the
 * driver's, which in a virtual machine costs more than anything that the driver adds.
 */
async function paced(ours: Measured, driver: Driver, raw: RawRbd): Promise<Figure> {
  const samplesMs: number[] = [];
  for (let i = 0; i < batch * 3; i++) {
    await call((done) =>
      driver.controller.ControllerGetCapabilities(new csi.v1.ControllerGetCapabilitiesRequest(), done),
    );
    const hopMs = performance.now();
    await raw.create(`paced-${i}`);
    samplesMs.push(performance.now() - hopMs);
  }
  const floor = p50({ samplesMs, perSecond: 0 });
  return {
    what: 'CreateVolume p50, 1 in flight',
    ours: p50(ours),
    floor,
    floorIs: 'rbd_create4 at the pace of RPCs',
    unit: 'ms',
  };
}

interface Pair {
  readonly ours: Measured;
  readonly floor: Measured;
}

async function inTurns(ours: Side, floor: Side, count: number, inFlight: number): Promise<Pair> {
  const runs = { ours: [] as Measured[], floor: [] as Measured[] };
  for (let round = 0; round < rounds; round++) {
    runs.ours.push(await ours.run(`${ours.name}-${round}`, count, inFlight));
    runs.floor.push(await floor.run(`${floor.name}-${round}`, count, inFlight));
  }
  return { ours: merge(runs.ours), floor: merge(runs.floor) };
}

function figure(rpc: string, inFlight: number, { ours, floor }: Pair, floorIs: string, aim: Figure['aim']): Figure {
  const common = { floorIs, ...(aim === undefined ? {} : { aim }) };
  if (inFlight === 1)
    return { what: `${rpc} p50, 1 in flight`, ours: p50(ours), floor: p50(floor), unit: 'ms', ...common };
  return { what: `${rpc}, ${inFlight} in flight`, ours: ours.perSecond, floor: floor.perSecond, unit: '/s', ...common };
}
