import { csi } from '../src/csi/gen/csi.js';
import type { TestCluster } from '../test/harness/cluster.js';
import { call, type Driver } from '../test/harness/driver.js';
import { measure, p50 } from './measure.js';
import type { Progress, Subject } from './subject.js';
import type { Figure } from './table.js';
import { withQuickMonitors } from './raw-cluster.js';
import { Volumes } from './volumes.js';

export const pageSize = 500;
const pageRounds = 12;
const snapshotsInFlight = 64;
const pageAim = { of: 'value', most: 150 } as const;
const flatAim = { of: 'ratio', most: 1.2 } as const;

/** One page from the start. @returns its p50 in milliseconds. */
export async function volumePageMs(driver: Driver): Promise<number> {
  const request = new csi.v1.ListVolumesRequest({ max_entries: pageSize });
  const page = async () => {
    const reply = await call<csi.v1.ListVolumesResponse>((done) => driver.controller.ListVolumes(request, done));
    full(reply.entries.length, reply.next_token);
  };
  return p50(await measure(pageRounds, 1, page));
}

async function snapshotPageMs(driver: Driver): Promise<number> {
  const request = new csi.v1.ListSnapshotsRequest({ max_entries: pageSize });
  const page = async () => {
    const reply = await call<csi.v1.ListSnapshotsResponse>((done) => driver.controller.ListSnapshots(request, done));
    full(reply.entries.length, reply.next_token);
  };
  return p50(await measure(pageRounds, 1, page));
}

function full(entries: number, token: string): void {
  if (entries !== pageSize || token === '')
    throw new Error(`a page of ${pageSize} has ${entries}, and then "${token}"`);
}

/** @param few the page beside fewer, in milliseconds */
export async function volumePageFigures(
  driver: Driver,
  { name, raw, floors }: Subject,
  few: { readonly count: number; readonly pageMs: number },
  total: number,
): Promise<Figure[]> {
  const ours = await volumePageMs(driver);
  const floor = p50(await measure(pageRounds, 1, async () => raw.listPage(pageSize)));
  const what = `${name} ListVolumes page of ${pageSize} p50, beside ${total}`;
  return [
    { what, ours, floor, floorIs: floors.listPage, unit: 'ms', aim: pageAim },
    { what, ours, floor: few.pageMs, floorIs: `the same beside ${few.count}`, unit: 'ms', aim: flatAim },
  ];
}

/** Whole lists, alone and with 16 in flight. */
export async function wholeListFigures(
  driver: Driver,
  { name, raw, floors }: Subject,
  total: number,
): Promise<Figure[]> {
  const list = async () => {
    const reply = await call<csi.v1.ListVolumesResponse>((done) =>
      driver.controller.ListVolumes(new csi.v1.ListVolumesRequest(), done),
    );
    if (reply.entries.length < total) throw new Error(`ListVolumes gave ${reply.entries.length} of ${total} volumes`);
  };
  const figures: Figure[] = [];
  for (const [inFlight, count] of [
    [1, 4],
    [16, 16],
  ] as const) {
    figures.push({
      what: `${name} ListVolumes of ${total} p50, ${inFlight} in flight`,
      ours: p50(await measure(count, inFlight, list)),
      floor: p50(await measure(count, inFlight, async () => raw.list())),
      floorIs: floors.list,
      unit: 'ms',
    });
  }
  return figures;
}

/** Pages of snapshots, each a real one of a volume that benchMany() has made. */
export async function benchSnapshotList(
  cluster: TestCluster,
  driver: Driver,
  subject: Subject,
  listed: number,
  progress: Progress,
): Promise<Figure[]> {
  const { name, raw, floors } = subject;
  const fewer = pageSize + 20;
  const volumes = new Volumes(driver, subject);
  const take = async (from: number, to: number) => {
    progress(`${name}: taking ${to - from} snapshots`);
    // Nothing is measured while they are made: the monitors needn't take their second for each round.
    await withQuickMonitors(cluster, async () =>
      measure(to - from, snapshotsInFlight, async (i) => {
        const volume = `many-${from + i}`;
        await volumes.create(volume);
        await volumes.snapshot(volume, `listed-${from + i}`);
      }),
    );
  };
  await take(0, fewer);
  const fewMs = await snapshotPageMs(driver);
  await take(fewer, listed);
  progress(`${name} ListSnapshots`);
  const ours = await snapshotPageMs(driver);
  const floor = p50(await measure(pageRounds, 1, async () => raw.listSnapshotPage(pageSize)));
  const what = `${name} ListSnapshots page of ${pageSize} p50, beside ${listed}`;
  return [
    { what, ours, floor, floorIs: floors.listSnapshotPage, unit: 'ms', aim: pageAim },
    { what, ours, floor: fewMs, floorIs: `the same beside ${fewer}`, unit: 'ms', aim: flatAim },
  ];
}
