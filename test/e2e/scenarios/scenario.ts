import type { CephSide } from '../ceph-side.js';
import type { Api } from '../cluster/api.js';
import { type KubeObject, textAt } from '../cluster/kinds.js';
import { until } from '../cluster/until.js';
import type { Installation } from '../installation.js';
import type { Operator } from '../operator.js';
import type { Workload } from '../workload.js';

export interface ScenarioContext {
  readonly work: Workload;
  readonly api: Api;
  readonly ceph: CephSide;
  readonly cuttle: Installation;
  readonly operator: Operator;
  readonly signal: AbortSignal;
}

/** One line of the table. Those of a list run in its order, and may use what earlier ones have made. */
export interface Scenario<Context = ScenarioContext> {
  /** A sentence about what people see. */
  readonly title: string;
  /** @returns what it has measured, for the table, when it is a text. */
  readonly run: (context: Context) => Promise<unknown>;
}

const settledMs = 120_000;

/** The name of a PersistentVolume's image or directory: the last part of its id. */
export function objectOf(volume: KubeObject): string {
  return textAt(volume, 'spec', 'csi', 'volumeHandle').split(/[:/]/).at(-1) ?? '';
}

/** Deletes what people have made, pods first, and waits until neither Kubernetes nor Ceph has anything of it. */
export async function deleteEverything({ work, api, ceph, cuttle, signal }: ScenarioContext): Promise<void> {
  for (const kind of ['Pod', 'VolumeSnapshot', 'PersistentVolumeClaim'] as const) {
    const names = await work.names(kind);
    await Promise.all(names.map(async (name) => api.delete(kind, name)));
    await Promise.all(names.map(async (name) => work.gone(kind, name)));
  }
  for (const kind of ['PersistentVolume', 'VolumeAttachment', 'VolumeSnapshotContent'] as const) {
    const isNone = async () => ((await work.names(kind)).length === 0 ? true : undefined);
    await until(`cluster without a ${kind}`, isNone, { withinMs: settledMs, signal });
  }
  const rests = {
    'node without staged volumes': async () => cuttle.staged(),
    'Ceph without images': async () => ceph.images(),
    'Ceph without trash': async () => ceph.trash(),
    'Ceph without directories': async () => ceph.directories(),
  };
  for (const [what, list] of Object.entries(rests)) {
    const isNone = async (): Promise<true> => {
      const left = await list();
      if (left.length > 0) throw new Error(left.join(', '));
      return true;
    };
    await until(what, isNone, { withinMs: settledMs, signal });
  }
}
