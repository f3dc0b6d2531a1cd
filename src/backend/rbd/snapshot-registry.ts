import type { CephPool } from '../../ceph/client.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Reach } from '../../domain/topology.js';
import { beingDeleted, isTaken, parseEntry, type RegisteredSnapshot, type Taken } from '../registered-snapshot.js';

/** One object per pool and namespace; a key per snapshot of ours: which image a snapshot's name stands for is one read. */
const object = 'cuttle.snapshots';
const page = 500;

export interface RegisteredImageSnapshot extends RegisteredSnapshot {
  /** Name and id of its image when it was asked for: the name may be a reserved one since, the id stays. */
  readonly image: string;
  readonly imageId: string;
  /** RBD's number of it, decimal, once it is taken. */
  readonly snapshotId?: string;
  /** From where it can be reached, when its volume's place was chosen for that. */
  readonly reach?: Reach;
  /** What the LUKS header takes of sizeBytes, decimal; absent for an image that isn't encrypted. */
  readonly headerBytes?: string;
}

export type TakenSnapshot = Taken<RegisteredImageSnapshot>;

/** @returns what is there now: the own entry, or the one that was first. */
export async function register(
  ctx: CallContext,
  pool: CephPool,
  snapshot: string,
  entry: RegisteredImageSnapshot,
): Promise<RegisteredImageSnapshot> {
  const set = new Map([[snapshot, JSON.stringify(entry)]]);
  if (await pool.omap.update(ctx, object, { expect: new Map([[snapshot, '']]), set })) return entry;
  const found = await lookUp(ctx, pool, snapshot);
  if (found !== undefined) return found;
  throw beingDeleted(entry.name);
}

export async function complete(
  ctx: CallContext,
  pool: CephPool,
  snapshot: string,
  entry: RegisteredImageSnapshot,
): Promise<void> {
  await pool.omap.update(ctx, object, { set: new Map([[snapshot, JSON.stringify(entry)]]) });
}

/** undefined when there is no such entry. */
export async function lookUp(
  ctx: CallContext,
  pool: CephPool,
  snapshot: string,
): Promise<RegisteredImageSnapshot | undefined> {
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

function parse(text: string, snapshot: string): RegisteredImageSnapshot {
  return parseEntry<RegisteredImageSnapshot>(text, ['image', 'imageId'], {
    what: `key ${snapshot} of object ${object}`,
    removal: `it (rados rmomapkey ${object} ${snapshot})`,
  });
}
