import type { CephPool } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';

/** One object per pool and namespace; a key per snapshot of ours: which image a snapshot's name stands for is one read. */
const object = 'cuttle.snapshots';
const page = 500;

/** What the registry has about a snapshot, before it is taken without the last two. */
export interface RegisteredSnapshot {
  readonly version: 1;
  /** The CO's name for it. */
  readonly name: string;
  /** Name and id of its image when it was asked for: the name may be a reserved one since, the id stays. */
  readonly image: string;
  readonly imageId: string;
  /** Decimal, in bytes. */
  readonly sizeBytes?: string;
  readonly createdMs?: number;
}

/** @returns what is there now: the own entry, or the one that was first. */
export async function register(
  ctx: CallContext,
  pool: CephPool,
  snapshot: string,
  entry: RegisteredSnapshot,
): Promise<RegisteredSnapshot> {
  const set = new Map([[snapshot, JSON.stringify(entry)]]);
  if (await pool.omap.update(ctx, object, { expect: new Map([[snapshot, '']]), set })) return entry;
  const found = await lookUp(ctx, pool, snapshot);
  if (found !== undefined) return found;
  throw new DriverError('ABORTED', `snapshot "${entry.name}" is being deleted at this moment: repeat the request`);
}

export async function complete(
  ctx: CallContext,
  pool: CephPool,
  snapshot: string,
  entry: RegisteredSnapshot,
): Promise<void> {
  await pool.omap.update(ctx, object, { set: new Map([[snapshot, JSON.stringify(entry)]]) });
}

/** undefined when there is no such entry. */
export async function lookUp(
  ctx: CallContext,
  pool: CephPool,
  snapshot: string,
): Promise<RegisteredSnapshot | undefined> {
  const text = (await pool.omap.get(ctx, object, [snapshot])).get(snapshot);
  return text === undefined ? undefined : parse(text, snapshot);
}

export async function forget(ctx: CallContext, pool: CephPool, snapshot: string): Promise<void> {
  await pool.omap.update(ctx, object, { remove: [snapshot] });
}

/** Those that were taken, in the order of their names, after startAfter. */
export async function* registered(
  ctx: CallContext,
  pool: CephPool,
  startAfter: string,
): AsyncGenerator<{ readonly snapshot: string; readonly entry: TakenSnapshot }> {
  let last = startAfter;
  for (;;) {
    const pairs = await pool.omap.list(ctx, object, last, page);
    for (const [snapshot, text] of pairs) {
      const entry = parse(text, snapshot);
      if (isTaken(entry)) yield { snapshot, entry };
      last = snapshot;
    }
    if (pairs.size < page) return;
  }
}

export type TakenSnapshot = RegisteredSnapshot & Required<Pick<RegisteredSnapshot, 'sizeBytes' | 'createdMs'>>;

export function isTaken(entry: RegisteredSnapshot): entry is TakenSnapshot {
  return entry.sizeBytes !== undefined && entry.createdMs !== undefined;
}

function parse(text: string, snapshot: string): RegisteredSnapshot {
  try {
    const entry: unknown = JSON.parse(text);
    if (isEntry(entry)) return entry;
  } catch {
    // falls through to the one answer
  }
  throw new DriverError(
    'INTERNAL',
    `key ${snapshot} of object ${object} is not what Cuttle wrote: restore it, or remove it (rados rmomapkey ${object} ${snapshot}) if the snapshot is gone`,
  );
}

function isEntry(value: unknown): value is RegisteredSnapshot {
  if (typeof value !== 'object' || value === null) return false;
  const { name, image, imageId } = value as Partial<Record<keyof RegisteredSnapshot, unknown>>;
  return typeof name === 'string' && typeof image === 'string' && typeof imageId === 'string';
}
