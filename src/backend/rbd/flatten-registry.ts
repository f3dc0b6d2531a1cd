import type { CephPool } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';

/** One object per pool and namespace; a key per image, its id, from when it is to be flattened until it is flat. */
export const flattenObject = 'cuttle.flatten';
const page = 500;
const changeTries = 10;

export interface FlattenEntry {
  readonly version: 1;
  /** The image's name when it was queued: for people. */
  readonly image: string;
  /** A CreateVolume waits for it. */
  readonly isUrgent?: boolean;
  /** The address of the client that flattens it, or did when it died. */
  readonly by?: string;
  /** Objects of the image. */
  readonly done?: number;
  readonly total?: number;
  /** When a deletion last asked for the image to be closed. */
  readonly stopMs?: number;
}

/** undefined when it is not to be flattened. */
export async function lookUpFlatten(
  ctx: CallContext,
  pool: CephPool,
  imageId: string,
): Promise<FlattenEntry | undefined> {
  const text = (await pool.omap.get(ctx, flattenObject, [imageId])).get(imageId);
  return text === undefined ? undefined : parse(text, imageId);
}

/** The address of the client that is flattening the image, or did when it died. */
export async function flattenerOf(ctx: CallContext, pool: CephPool, imageId: string): Promise<string | undefined> {
  return (await lookUpFlatten(ctx, pool, imageId))?.by;
}

/** All of them, by image id. */
export async function flattenEntries(ctx: CallContext, pool: CephPool): Promise<Map<string, FlattenEntry>> {
  const entries = new Map<string, FlattenEntry>();
  for (let last = ''; ;) {
    const pairs = await pool.omap.list(ctx, flattenObject, last, page);
    for (const [imageId, text] of pairs) {
      entries.set(imageId, parse(text, imageId));
      last = imageId;
    }
    if (pairs.size < page) return entries;
  }
}

/**
 * Changes what is there now, whoever else does meanwhile. @param change undefined stands for no entry, before and after
 * @returns what is there afterwards.
 */
export async function changeFlatten(
  ctx: CallContext,
  pool: CephPool,
  imageId: string,
  change: (entry: FlattenEntry | undefined) => FlattenEntry | undefined,
): Promise<FlattenEntry | undefined> {
  for (let tries = 0; tries < changeTries; tries++) {
    const text = (await pool.omap.get(ctx, flattenObject, [imageId])).get(imageId);
    const next = change(text === undefined ? undefined : parse(text, imageId));
    const nextText = next === undefined ? undefined : JSON.stringify(next);
    if (nextText === text) return next;
    const written = await pool.omap.update(ctx, flattenObject, {
      expect: new Map([[imageId, text ?? '']]),
      ...(nextText === undefined ? { remove: [imageId] } : { set: new Map([[imageId, nextText]]) }),
    });
    if (written) return next;
  }
  throw new DriverError(
    'ABORTED',
    `key ${imageId} of object ${flattenObject} changes all the time: repeat the request`,
  );
}

/** What can't be read is queued all the same: the key says which image it is. */
function parse(text: string, imageId: string): FlattenEntry {
  try {
    const entry: unknown = JSON.parse(text);
    if (isEntry(entry)) return entry;
  } catch {
    // falls through to the one answer
  }
  return { version: 1, image: imageId };
}

function isEntry(value: unknown): value is FlattenEntry {
  return typeof value === 'object' && value !== null && typeof (value as Partial<FlattenEntry>).image === 'string';
}
