import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError, isDriverError } from '../domain/errors.js';
import { formatVolumeId, type VolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import {
  attachedNodes,
  type AttachedUse,
  type AttachmentRecord,
  fencedAddresses,
  withFenced,
  withNode,
  withoutNode,
} from './attachment-record.js';
import type { Attached, AttachInput } from './backend.js';

/** Each time somebody else was quicker. A deployment that starts on many nodes attaches one volume to all of them at the same moment. */
const mostTries = 30;
/** Waited at random up to this, longer each time, so that those who meet don't meet again. */
const waitStepMs = 10;

/** A volume's attachments as they were read, and what can be done about them. */
export interface AttachmentPlace {
  readonly record: AttachmentRecord;
  /** Nodes that have said, when they staged the volume, which Ceph clients they use. */
  readonly clientNodes: readonly string[];
  /** Writes the record in place of the one that was read. @returns false when that has changed meanwhile. */
  replace(next: AttachmentRecord): Promise<boolean>;
  /** The clients that the node has named last, by their addresses. */
  clients(node: string): Promise<readonly string[]>;
  /** Those of them that may still write to the volume. A clean NodeUnstageVolume leaves none. */
  holding(node: string): Promise<readonly string[]>;
  /** Shuts a client out of the cluster. Idempotent. @throws DriverError PERMISSION_DENIED naming the capability that is missing. */
  fence(address: string): Promise<void>;
  /** Takes it back. */
  lift(address: string): Promise<void>;
}

/** @param node whose clients will be asked for; undefined = no single one's. @returns undefined when there is no such volume. */
export type OpenAttachments<Id extends VolumeId> = (
  ctx: CallContext,
  id: Id,
  node: string | undefined,
  credentials: Credentials | undefined,
) => Promise<AttachmentPlace | undefined>;

/** @throws DriverError NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION (another node has it), ABORTED. */
export async function attach<Id extends VolumeId>(
  ctx: CallContext,
  open: OpenAttachments<Id>,
  id: Id,
  input: AttachInput,
): Promise<Attached> {
  const { node, capability, readOnly, credentials } = input;
  const use: AttachedUse = { capability, readOnly };
  return insist(ctx, id, async () => {
    const place = await open(ctx, id, node, credentials);
    if (place === undefined) throw new DriverError('NOT_FOUND', `volume ${formatVolumeId(id)} does not exist`);
    const attached = withNode(place.record, id, node, use);
    const next = await settleFences(ctx, place, attached, node);
    if (next !== place.record && !(await place.replace(next))) return undefined;
    return { fencedClients: fencedAddresses(next, node) };
  });
}

/**
 * What still holds the volume on the node is fenced first: then the node's record may go, and another node may have the volume.
 * @param node undefined = all of them. @throws DriverError PERMISSION_DENIED (a client would have to be fenced and may not), ABORTED.
 */
export async function detach<Id extends VolumeId>(
  ctx: CallContext,
  open: OpenAttachments<Id>,
  id: Id,
  node: string | undefined,
  credentials: Credentials | undefined,
): Promise<void> {
  const done = new Set<string>();
  await insist(ctx, id, async () => {
    const place = await open(ctx, id, node, credentials);
    if (place === undefined) return true;
    const nodes = node === undefined ? [...new Set([...attachedNodes(place.record), ...place.clientNodes])] : [node];
    const held = await heldBy(place, nodes);
    // Written down before it is done: cut off in between, the node is told all the same when it comes back.
    const noted = held.reduce((record, { node: one, addresses }) => withFenced(record, one, addresses), place.record);
    if (noted !== place.record) {
      await place.replace(noted);
      return undefined;
    }
    for (const { node: one, addresses } of held) {
      for (const address of addresses.filter((each) => !done.has(each))) {
        ctx.log.warn(
          { volume: formatVolumeId(id), node: one, address },
          'the node has not let go of the volume: fencing',
        );
        await fence(place, id, one, address);
        done.add(address);
      }
    }
    let next = place.record;
    for (const one of nodes) next = await settleFences(ctx, place, withoutNode(next, one), one);
    if (next === place.record) return true;
    // Then all is looked at once more: a node that was staging meanwhile names its client before it looks whether it may.
    await place.replace(next);
    return undefined;
  });
}

async function fence(place: AttachmentPlace, id: VolumeId, node: string, address: string): Promise<void> {
  try {
    await place.fence(address);
  } catch (error) {
    if (!isDriverError(error)) throw error;
    throw new DriverError(
      error.code,
      `node "${node}" has not let go of volume ${formatVolumeId(id)}, which stays attached to it until its client is fenced: ${error.message}; or unstage the volume there`,
      { cause: error },
    );
  }
}

interface Held {
  readonly node: string;
  /** Those fenced before, too. */
  readonly addresses: readonly string[];
}

async function heldBy(place: AttachmentPlace, nodes: readonly string[]): Promise<Held[]> {
  const held: Held[] = [];
  for (const node of nodes) {
    const addresses = await place.holding(node);
    if (addresses.length === 0) continue;
    held.push({ node, addresses: [...new Set([...fencedAddresses(place.record, node), ...addresses])] });
  }
  return held;
}

/**
 * A fence is lifted when the node has named another client since: it names one after it has taken the old one away. Before that, what the
 * old one still has to write would get through.
 */
async function settleFences(
  ctx: CallContext,
  place: AttachmentPlace,
  record: AttachmentRecord,
  node: string,
): Promise<AttachmentRecord> {
  const fenced = fencedAddresses(record, node);
  if (fenced.length === 0) return record;
  const current = await place.clients(node);
  for (const address of fenced.filter((one) => !current.includes(one))) {
    // The user may be allowed to fence only ('profile rbd' is like that), and then the entry ends by itself.
    await place.lift(address).catch((error: unknown) => {
      ctx.log.debug({ err: error, address }, 'the client stays on the blocklist until that ends by itself');
    });
  }
  return withFenced(
    record,
    node,
    fenced.filter((one) => current.includes(one)),
  );
}

/** @param attempt undefined when another controller was quicker. @throws DriverError ABORTED when it always was. */
async function insist<T>(ctx: CallContext, id: VolumeId, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < mostTries; tries++) {
    const result = await attempt();
    if (result !== undefined) return result;
    await sleep(Math.random() * waitStepMs * (tries + 1), undefined, { signal: ctx.signal });
  }
  throw new DriverError(
    'ABORTED',
    `volume ${formatVolumeId(id)} is being attached or detached by other requests: repeat this one`,
  );
}
