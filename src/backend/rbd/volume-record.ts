import { DriverError } from '../../domain/errors.js';
import type { StringMap } from '../backend.js';

/** Image metadata key of the volume's record; `rbd image-meta get IMAGE .cuttle.volume` shows it. */
export const recordKey = '.cuttle.volume';
/** Set once the image has been formatted by us: a blank look afterwards is damage, not a new image. */
export const formattedKey = '.cuttle.formatted';
/** Set before the image goes to the trash: only what carries it is purged by us. */
export const deletedKey = '.cuttle.deleted';

/** What must be remembered beside the image, kept on the image. */
export interface VolumeRecord {
  readonly version: 1;
  /** The CO's name for the volume. */
  readonly name: string;
  /** The request's parameters, without what the provisioner adds. */
  readonly parameters: StringMap;
  /** Who it is for, when the provisioner says so (--extra-create-metadata). */
  readonly labels: StringMap;
}

const labelPrefix = 'csi.storage.k8s.io/';
const labelNames = ['pvc/name', 'pvc/namespace', 'pv/name'];

/** Keys are sorted, so that equal requests make equal text. */
export function recordOf(name: string, parameters: StringMap): VolumeRecord {
  const sorted = Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    version: 1,
    name,
    parameters: Object.fromEntries(sorted.filter(([key]) => !key.startsWith(labelPrefix))),
    labels: Object.fromEntries(
      sorted
        .filter(([key]) => labelNames.some((label) => key === labelPrefix + label))
        .map(([key, value]) => [key.slice(labelPrefix.length), value]),
    ),
  };
}

/** @throws DriverError INTERNAL when somebody else has written there. */
export function parseRecord(text: string, image: string): VolumeRecord {
  try {
    const record: unknown = JSON.parse(text);
    if (isRecord(record)) return record;
  } catch {
    // falls through to the one answer
  }
  throw new DriverError(
    'INTERNAL',
    `the metadata ${recordKey} of image ${image} is not what Cuttle wrote: restore it, or remove it (rbd image-meta remove) to adopt the image as it is`,
  );
}

function isRecord(value: unknown): value is VolumeRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { name, parameters } = value as Partial<Record<keyof VolumeRecord, unknown>>;
  return typeof name === 'string' && typeof parameters === 'object' && parameters !== null;
}

/** The first parameter that differs, for the sentence; undefined when none does. */
export function firstDifference(recorded: StringMap, requested: StringMap): string | undefined {
  const keys = new Set([...Object.keys(recorded), ...Object.keys(requested)]);
  for (const key of [...keys].sort()) {
    const before = recorded[key];
    const now = requested[key];
    if (before !== now) return `parameter ${key} was ${quote(before)} and now is ${quote(now)}`;
  }
  return undefined;
}

function quote(value: string | undefined): string {
  return value === undefined ? 'not set' : `"${value}"`;
}
