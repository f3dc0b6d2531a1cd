import { csi } from '../src/csi/gen/csi.js';
import { call, type Driver } from '../test/harness/driver.js';
import { createRequest, deleteRequest } from '../test/harness/requests.js';
import { type Measured, measure, merge, p50 } from './measure.js';
import type { AimPair, Progress, Subject } from './subject.js';
import type { Figure } from './table.js';

const batch = 40;
const rounds = 6;
/** Both sides' code is compiled and their connections are open before anything is measured. */
const warmUp = 200;

/** The calls of one side of a comparison, by the volume's number. */
type Work = (name: string) => Promise<unknown>;

/** CreateVolume and DeleteVolume of one kind of volumes. */
export class Volumes {
  readonly #driver: Driver;
  readonly #create: Subject['create'];
  readonly #ids = new Map<string, string>();

  constructor(driver: Driver, { create }: Subject) {
    this.#driver = driver;
    this.#create = create;
  }

  /** @returns the volume's id. */
  async create(name: string): Promise<string> {
    const request = createRequest(name, this.#create);
    const reply = await call<csi.v1.CreateVolumeResponse>((done) =>
      this.#driver.controller.CreateVolume(request, done),
    );
    const id = reply.volume?.volume_id ?? '';
    this.#ids.set(name, id);
    return id;
  }

  async delete(name: string): Promise<void> {
    const request = deleteRequest(this.#ids.get(name) ?? '');
    await call((done) => this.#driver.controller.DeleteVolume(request, done));
  }
}

/** The Controller's RPCs beside the bare calls, in turns, so that a noisy neighbour meets both. */
export async function benchController(driver: Driver, subject: Subject, progress: Progress): Promise<Figure[]> {
  const { name, raw, floors, aims } = subject;
  const volumes = new Volumes(driver, subject);
  const figures: Figure[] = [];
  progress(`${name}: warming up`);
  await measure(warmUp, 4, async (i) => {
    await volumes.create(`warm-${i}`);
    await volumes.create(`warm-${i}`);
    await volumes.delete(`warm-${i}`);
    await raw.create(`warm-raw-${i}`);
    await raw.hide(`warm-raw-${i}`);
  });
  await raw.emptyTrash();

  for (const inFlight of [1, 16]) {
    const compare = async (rpc: string, ours: Work, floor: Work, floorIs: string, aim?: AimPair): Promise<Pair> => {
      progress(`${name} ${rpc}, ${inFlight} in flight`);
      const pair = await inTurns(ours, floor, inFlight);
      figures.push(figure(`${name} ${rpc}`, inFlight, pair, floorIs, aim));
      return pair;
    };
    const create = async (volume: string) => volumes.create(volume);
    const remove = async (volume: string) => volumes.delete(volume);
    const created = await compare('CreateVolume', create, raw.create, floors.create, aims.create);
    if (inFlight === 1) figures.push(await paced(created.ours, driver, subject));
    await compare('CreateVolume again', create, raw.lookUp, floors.lookUp, aims.again);
    await compare('DeleteVolume', remove, raw.hide, floors.hide, aims.delete);
    await raw.emptyTrash();
  }
  return figures;
}

/** Is CreateVolume as fast beside 2,000 volumes as beside 10? And what a list of them all takes. */
export async function benchMany(
  driver: Driver,
  subject: Subject,
  count: number,
  progress: Progress,
): Promise<Figure[]> {
  const { name, raw, floors } = subject;
  const volumes = new Volumes(driver, subject);
  const create = async (volume: string) => volumes.create(volume);
  const both = async (prefix: string): Promise<Pair> => ({
    ours: await measure(2 * batch, 1, async (i) => create(`${prefix}-${i}`)),
    floor: await measure(2 * batch, 1, async (i) => raw.create(`raw-${prefix}-${i}`)),
  });
  await measure(10, 1, async (i) => create(`few-${i}`));
  progress(`${name} CreateVolume beside 10 volumes`);
  const few = await both('beside-10');
  progress(`${name}: making ${count} volumes`);
  await measure(count - 10 - 2 * batch, 16, async (i) => create(`many-${i}`));
  progress(`${name} CreateVolume beside ${count} volumes`);
  const many = await both('beside-many');
  const flat: Figure[] = [
    {
      what: `${name} CreateVolume p50, beside ${count} volumes`,
      ours: p50(many.ours),
      floor: p50(few.ours),
      floorIs: 'CreateVolume beside 10 volumes',
      unit: 'ms',
      aim: { of: 'ratio', most: 1.1 },
    },
    {
      what: `${name} ${floors.create}, beside ${count}`,
      ours: p50(many.floor),
      floor: p50(few.floor),
      floorIs: 'the same beside 10: what Ceph adds by itself',
      unit: 'ms',
    },
  ];
  return [...flat, ...(await benchList(driver, subject, count + 2 * batch, progress))];
}

async function benchList(driver: Driver, subject: Subject, total: number, progress: Progress): Promise<Figure[]> {
  const { name, raw, floors } = subject;
  progress(`${name} ListVolumes of ${total}`);
  const list = async () => {
    const reply = await call<csi.v1.ListVolumesResponse>((done) =>
      driver.controller.ListVolumes(new csi.v1.ListVolumesRequest(), done),
    );
    if (reply.entries.length < total) throw new Error(`ListVolumes gave ${reply.entries.length} of ${total} volumes`);
  };
  const page = async () =>
    call((done) => driver.controller.ListVolumes(new csi.v1.ListVolumesRequest({ max_entries: 500 }), done));
  const figures: Figure[] = [];
  for (const inFlight of [1, 16]) {
    const ours = await measure(inFlight === 1 ? 8 : 32, inFlight, list);
    const floor = await measure(inFlight === 1 ? 8 : 32, inFlight, async () => raw.list());
    figures.push({
      what: `${name} ListVolumes of ${total} p50, ${inFlight} in flight`,
      ours: p50(ours),
      floor: p50(floor),
      floorIs: floors.list,
      unit: 'ms',
    });
  }
  figures.push({ what: `${name} ListVolumes page of 500 p50`, ours: p50(await measure(12, 1, page)), unit: 'ms' });
  return figures;
}

/**
 * The same library call at the pace of RPCs: after the wait for a gRPC round trip its threads and caches are as cold as the
 * driver's, which in a virtual machine costs more than anything that the driver adds.
 */
async function paced(ours: Measured, driver: Driver, { name, raw, floors }: Subject): Promise<Figure> {
  const samplesMs: number[] = [];
  for (let i = 0; i < batch * 3; i++) {
    await call((done) =>
      driver.controller.ControllerGetCapabilities(new csi.v1.ControllerGetCapabilitiesRequest(), done),
    );
    const hopMs = performance.now();
    await raw.create(`paced-${i}`);
    samplesMs.push(performance.now() - hopMs);
  }
  return {
    what: `${name} CreateVolume p50, 1 in flight`,
    ours: p50(ours),
    floor: p50({ samplesMs, perSecond: 0 }),
    floorIs: `${floors.create} at the pace of RPCs`,
    unit: 'ms',
  };
}

interface Pair {
  readonly ours: Measured;
  readonly floor: Measured;
}

async function inTurns(ours: Work, floor: Work, inFlight: number): Promise<Pair> {
  const count = inFlight === 1 ? batch : batch * 4;
  const runs = { ours: [] as Measured[], floor: [] as Measured[] };
  for (let round = 0; round < rounds; round++) {
    const volume = (side: string, i: number) => `${side}-${inFlight}-${round}-${i}`;
    runs.ours.push(await measure(count, inFlight, async (i) => ours(volume('ours', i))));
    runs.floor.push(await measure(count, inFlight, async (i) => floor(volume('raw', i))));
  }
  return { ours: merge(runs.ours), floor: merge(runs.floor) };
}

function figure(rpc: string, inFlight: number, { ours, floor }: Pair, floorIs: string, aims: AimPair = {}): Figure {
  const aim = inFlight === 1 ? aims.alone : aims.many;
  const common = { floorIs, ...(aim === undefined ? {} : { aim }) };
  if (inFlight === 1)
    return { what: `${rpc} p50, 1 in flight`, ours: p50(ours), floor: p50(floor), unit: 'ms', ...common };
  return { what: `${rpc}, ${inFlight} in flight`, ours: ours.perSecond, floor: floor.perSecond, unit: '/s', ...common };
}
