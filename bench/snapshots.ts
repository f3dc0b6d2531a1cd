import type { Driver } from '../test/harness/driver.js';
import { type Measured, measure, p50 } from './measure.js';
import type { AimPair, Progress, Subject } from './subject.js';
import type { Figure } from './table.js';
import { Volumes } from './volumes.js';

const preparedInFlight = 16;
const grownBytes = 2n << 30n;

/** One RPC beside the bare calls that it can't do without, for the volume of this number. */
interface Comparison {
  readonly rpc: string;
  readonly ours: (i: number) => Promise<unknown>;
  readonly floor: (i: number) => Promise<unknown>;
  readonly floorIs: string;
  readonly aim?: AimPair;
}

/**
 * Snapshots, what is made of them, and growth: of empty volumes, each of its own volume. All of it stays: RBD frees a volume that
 * others were made of in its own time, a round of the monitors' for each.
 */
export async function benchSnapshots(driver: Driver, subject: Subject, progress: Progress): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const inFlight of [1, 16]) {
    const count = inFlight === 1 ? subject.snapshots.alone : subject.snapshots.many;
    const name = (kind: string, i: number) => `${kind}-${inFlight}-${i}`;
    const volumes = new Volumes(driver, subject);
    await measure(count, preparedInFlight, async (i) => {
      await volumes.create(name('source', i));
      await subject.raw.create(name('raw-source', i));
    });
    for (const { rpc, ours, floor, floorIs, aim } of comparisons(volumes, subject, name)) {
      progress(`${subject.name} ${rpc}, ${inFlight} in flight`);
      const pair = { ours: await measure(count, inFlight, ours), floor: await measure(count, inFlight, floor) };
      figures.push(figure(`${subject.name} ${rpc}`, inFlight, pair, floorIs, aim));
    }
  }
  return figures;
}

function comparisons(
  volumes: Volumes,
  { raw, floors, aims }: Subject,
  name: (kind: string, i: number) => string,
): Comparison[] {
  const source = (i: number) => name('source', i);
  const rawSource = (i: number) => name('raw-source', i);
  const snapshot = (i: number) => name('snapshot', i);
  return [
    {
      rpc: 'CreateSnapshot',
      ours: async (i) => volumes.snapshot(source(i), snapshot(i)),
      floor: async (i) => raw.snapshot(rawSource(i), snapshot(i)),
      floorIs: floors.snapshot,
      ...(aims.snapshot === undefined ? {} : { aim: aims.snapshot }),
    },
    {
      rpc: 'CreateVolume of a snapshot',
      ours: async (i) => volumes.restore(snapshot(i), name('restored', i)),
      floor: async (i) => raw.restore(rawSource(i), snapshot(i), name('raw-restored', i)),
      floorIs: floors.restore,
      ...(aims.restore === undefined ? {} : { aim: aims.restore }),
    },
    {
      rpc: 'CreateVolume of a volume',
      ours: async (i) => volumes.clone(source(i), name('clone', i)),
      floor: async (i) => raw.clone(rawSource(i), name('raw-clone', i)),
      floorIs: floors.clone,
    },
    {
      rpc: 'ControllerExpandVolume',
      ours: async (i) => volumes.grow(source(i), grownBytes),
      floor: async (i) => raw.grow(rawSource(i), grownBytes),
      floorIs: floors.grow,
    },
    {
      rpc: 'DeleteSnapshot of a restored one',
      ours: async (i) => volumes.deleteSnapshot(snapshot(i)),
      floor: async (i) => raw.deleteSnapshot(rawSource(i), snapshot(i)),
      floorIs: floors.deleteSnapshot,
    },
  ];
}

export interface Pair {
  readonly ours: Measured;
  readonly floor: Measured;
}

/** Alone it is about how long one takes, with many in flight about how many are done. */
export function figure(
  rpc: string,
  inFlight: number,
  { ours, floor }: Pair,
  floorIs: string,
  aims: AimPair = {},
): Figure {
  const aim = inFlight === 1 ? aims.alone : aims.many;
  const common = { floorIs, ...(aim === undefined ? {} : { aim }) };
  if (inFlight === 1)
    return { what: `${rpc} p50, 1 in flight`, ours: p50(ours), floor: p50(floor), unit: 'ms', ...common };
  return { what: `${rpc}, ${inFlight} in flight`, ours: ours.perSecond, floor: floor.perSecond, unit: '/s', ...common };
}
