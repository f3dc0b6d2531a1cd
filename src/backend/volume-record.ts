import type { Reach } from '../domain/topology.js';
import type { StringMap } from './backend.js';
import { parseWritten } from './written-json.js';

/** What must be remembered beside the volume, kept on the image or directory itself. */
export interface VolumeRecord {
  readonly version: 1;
  /** The CO's name for the volume. */
  readonly name: string;
  /** The request's parameters, without what the provisioner adds. */
  readonly parameters: StringMap;
  /** The request's mutable parameters; later changes of them are not written here. Absent when there were none. */
  readonly mutableParameters?: StringMap;
  /** Who it is for, when the provisioner says so (--extra-create-metadata). */
  readonly labels: StringMap;
  /** The size that was decided on when it was made, where the volume itself can be there without one. */
  readonly sizeBytes?: string;
  /** The id of the snapshot or volume that it was made of. */
  readonly source?: string;
  /** What CreateVolume has chosen, where the parameters leave it open. */
  readonly place?: ChosenPlace;
  /** Set for a volume that has nothing of its own and shows that snapshot. */
  readonly shows?: ShownSnapshot;
}

/** A volume's place among those that its parameters name. */
export interface ChosenPlace {
  readonly dataPool?: string;
  /** From where it can be reached. */
  readonly reach: Reach;
}

/** Where a snapshot of a CephFS directory lies, also when its volume is deleted. */
export interface ShownSnapshot {
  /** Where its directory was when the volume was made. */
  readonly path: string;
  /** That directory's, decimal; it stays when the directory is renamed. */
  readonly inode: string;
  readonly snapshot: string;
}

export interface RecordPlace {
  readonly what: string;
  readonly removal: string;
}

const labelPrefix = 'csi.storage.k8s.io/';
const labelNames = ['pvc/name', 'pvc/namespace', 'pv/name'];

/** Keys are sorted, so that equal requests make equal text. */
export function recordOf(
  name: string,
  parameters: StringMap,
  more: { readonly sizeBytes?: bigint; readonly source?: string; readonly mutableParameters?: StringMap } = {},
): VolumeRecord {
  const sorted = sortedEntries(parameters);
  const mutable = sortedEntries(more.mutableParameters ?? {});
  return {
    version: 1,
    name,
    parameters: Object.fromEntries(sorted.filter(([key]) => !key.startsWith(labelPrefix))),
    ...(mutable.length === 0 ? {} : { mutableParameters: Object.fromEntries(mutable) }),
    labels: Object.fromEntries(
      sorted
        .filter(([key]) => labelNames.some((label) => key === labelPrefix + label))
        .map(([key, value]) => [key.slice(labelPrefix.length), value]),
    ),
    ...(more.sizeBytes === undefined ? {} : { sizeBytes: more.sizeBytes.toString() }),
    ...(more.source === undefined ? {} : { source: more.source }),
  };
}

/**
 * @param where what holds it and how it is removed, for the sentence
 * @throws DriverError INTERNAL when somebody else has written there.
 */
export function parseRecord(text: string, where: RecordPlace): VolumeRecord {
  return parseWritten<VolumeRecord>(
    text,
    ({ name, parameters }) => typeof name === 'string' && typeof parameters === 'object' && parameters !== null,
    `${where.what} is not what Cuttle wrote: restore it, or remove it (${where.removal}) to adopt the volume as it is`,
  );
}

/** What differs between two requests for one name, for the sentence; undefined when nothing does. */
export function firstDifference(recorded: VolumeRecord, requested: VolumeRecord): string | undefined {
  const differing =
    firstDifferenceOf('parameter', recorded.parameters, requested.parameters) ??
    firstDifferenceOf('mutable parameter', recorded.mutableParameters ?? {}, requested.mutableParameters ?? {});
  if (differing !== undefined) return differing;
  if (recorded.source === requested.source) return undefined;
  return `volume_content_source was ${quote(recorded.source)} and now is ${quote(requested.source)}`;
}

function firstDifferenceOf(what: string, recorded: StringMap, requested: StringMap): string | undefined {
  const keys = new Set([...Object.keys(recorded), ...Object.keys(requested)]);
  for (const key of [...keys].sort()) {
    const before = recorded[key];
    const now = requested[key];
    if (before !== now) return `${what} ${key} was ${quote(before)} and now is ${quote(now)}`;
  }
  return undefined;
}

function sortedEntries(map: StringMap): [string, string][] {
  return Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
}

function quote(value: string | undefined): string {
  return value === undefined ? 'not set' : `"${value}"`;
}
