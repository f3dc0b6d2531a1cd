import { csi } from '../src/csi/gen/csi.js';
import { call, type Driver } from '../test/harness/driver.js';
import { pageSize, volumePageFigures, volumePageMs, wholeListFigures } from './lists.js';
import { type Measured, measure, merge, p50 } from './measure.js';
import { figure, type Pair } from './snapshots.js';
import type { AimPair, Progress, Subject } from './subject.js';
import type { Figure } from './table.js';
import { Volumes } from './volumes.js';

const batch = 40;
const rounds = 6;
/** Both sides' code is compiled and their connections are open before anything is measured. */
const warmUp = 200;

/** The calls of one side of a comparison, by the volume's number. */
type Work = (name: string) => Promise<unknown>;

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

/** Is CreateVolume as fast beside thousands of volumes as beside 10, and a page of a list? */
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
  const made = count - 10 - 2 * batch;
  await measure(pageSize, 16, async (i) => create(`many-${i}`));
  const page = { count: pageSize + 10 + 2 * batch, pageMs: await volumePageMs(driver) };
  await measure(made - pageSize, 16, async (i) => create(`many-${pageSize + i}`));
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
  const total = count + 2 * batch;
  progress(`${name} ListVolumes of ${total}`);
  return [
    ...flat,
    ...(await wholeListFigures(driver, subject, total)),
    ...(await volumePageFigures(driver, subject, page, total)),
  ];
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
