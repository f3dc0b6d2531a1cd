import type { MounterLike, MountInfo } from 'mount-utils-ts';
import { DriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { withDeadline } from '../../platform/deadline.js';
import { stageObjection } from '../attachment-record.js';
import { attachmentsIn, latestAttachments } from './directory-attachments.js';
import { clientAttribute, type NodeClients, parseClients } from './directory-clients.js';
import type { CephfsMounter } from './mounter.js';
import { isInSnapshot } from './volume-paths.js';

/** The MDS may let a question about a busy directory wait for its next tick, which comes every 5 s. */
const timeoutMs = 10_000;
const mostReads = 5;

/** The extended attributes of mounted paths. */
export interface MountedAttributes {
  list(path: string): Promise<string[]>;
  /** undefined when there is none, or the path can't be asked. */
  read(path: string, name: string): Promise<string | undefined>;
  /** @returns whether it is set now. */
  write(path: string, name: string, value: string): Promise<boolean>;
  remove(path: string, name: string): Promise<boolean>;
}

export interface MountedClientsDependencies {
  readonly nodeId: string;
  readonly mounter: MounterLike;
  readonly mounters: readonly CephfsMounter[];
  readonly attributes: MountedAttributes;
}

/** Where a node's record of its clients is written: through a mount, or past it. */
export interface ClientStore {
  read(name: string): Promise<string | undefined>;
  write(name: string, value: string): Promise<boolean>;
  remove(name: string): Promise<unknown>;
}

/** @throws DriverError FAILED_PRECONDITION when the volume at the path is attached to other nodes, or was taken from this one. */
export async function refuseUnattached(
  deps: MountedClientsDependencies,
  id: CephfsVolumeId,
  path: string,
  isRequired: boolean,
): Promise<void> {
  const { attributes, nodeId } = deps;
  if (isInSnapshot(id.path)) return;
  for (let reads = 0; reads < mostReads; reads++) {
    const names = await withDeadline(attributes.list(path), timeoutMs, `listing the attributes of ${path}`);
    const { name, version } = latestAttachments(names);
    const text = await withDeadline(attributes.read(path, name), timeoutMs, `reading ${name} of ${path}`);
    // Replaced since the names were read.
    if (version > 0 && text === undefined) continue;
    const objection = stageObjection(attachmentsIn(text, id.path, name), id, nodeId, isRequired);
    if (objection === undefined) return;
    throw new DriverError('FAILED_PRECONDITION', objection);
  }
}

/** What a mount shows of its own client; undefined when it is dead, or too old to tell. */
export async function clientIdAt(
  { attributes }: MountedClientsDependencies,
  path: string,
): Promise<string | undefined> {
  const text = await withDeadline(attributes.read(path, 'ceph.client_id'), timeoutMs, `asking ${path} for its client`);
  return /^client([0-9]+)$/.exec(text ?? '')?.[1];
}

/** Was the client that serves the mount at the path fenced? One that doesn't know itself any more counts as fenced. */
export async function isFencedAt(
  deps: MountedClientsDependencies,
  path: string,
  fenced: readonly string[],
): Promise<boolean> {
  if (fenced.length === 0) return false;
  const [clientId, known] = await Promise.all([
    clientIdAt(deps, path),
    storeAt(deps, path).read(clientAttribute(deps.nodeId)),
  ]);
  if (clientId === undefined) return true;
  const address = parseClients(known)?.clients[clientId];
  return address !== undefined && fenced.includes(address);
}

/** Writes on the volume by which client it is mounted at the path, for writing. Without, it can't be fenced, and is usable all the same. */
export async function nameClient(
  ctx: CallContext,
  deps: MountedClientsDependencies,
  id: CephfsVolumeId,
  by: CephfsMounter,
  path: string,
): Promise<void> {
  const store = storeAt(deps, path);
  const clientId = await clientIdAt(deps, path);
  const known = parseClients(await store.read(clientAttribute(deps.nodeId)));
  if (clientId !== undefined && known?.clients[clientId] !== undefined) return;
  const address = clientId === undefined ? undefined : await by.clientAddress(id, clientId);
  if (clientId !== undefined && address !== undefined) {
    const clients = { ...(await othersOf(known, deps, id, path)), [clientId]: address };
    if (await store.write(clientAttribute(deps.nodeId), JSON.stringify({ node: deps.nodeId, clients }))) return;
  }
  ctx.log.warn(
    { volume: formatVolumeId(id), clientId, address },
    'the client of this mount could not be written down: it will not be fenced when this node is lost',
  );
}

/**
 * Takes away what nameClient() has written, when the mount at the path is about to go, or is gone.
 * @param store past the mount, for one that is dead
 */
export async function forgetClient(
  deps: MountedClientsDependencies,
  id: CephfsVolumeId,
  path: string,
  store: ClientStore = storeAt(deps, path),
): Promise<void> {
  const name = clientAttribute(deps.nodeId);
  const known = parseClients(await store.read(name));
  if (known === undefined) return;
  const clientId = await clientIdAt(deps, path).catch(() => undefined);
  const clients = await othersOf(known, deps, id, path);
  if (clientId !== undefined) Reflect.deleteProperty(clients, clientId);
  if (Object.keys(clients).length === 0) await store.remove(name);
  else await store.write(name, JSON.stringify({ node: deps.nodeId, clients }));
}

function storeAt({ attributes }: MountedClientsDependencies, path: string): ClientStore {
  const limited = async <T>(work: Promise<T>) => withDeadline(work, timeoutMs, `an attribute of ${path}`);
  return {
    read: async (name) => limited(attributes.read(path, name)),
    write: async (name, value) => limited(attributes.write(path, name, value)),
    remove: async (name) => limited(attributes.remove(path, name)),
  };
}

/**
 * Of the known clients, those that may serve the volume on this node besides the one at the path; binds of its mount are that one. A mount
 * that doesn't say who it is may be any of them: a fenced one must not be taken for gone as long as it is there.
 */
async function othersOf(
  known: NodeClients | undefined,
  deps: MountedClientsDependencies,
  id: CephfsVolumeId,
  path: string,
): Promise<Record<string, string>> {
  const table = await deps.mounter.list();
  const own = table.filter((entry) => entry.mountPoint === path).map(deviceOf);
  const seen = new Map<string, MountInfo>();
  for (const entry of table) {
    const isVolume = deps.mounters.some((mounter) => mounter.isVolume(entry, id));
    if (isVolume && !own.includes(deviceOf(entry))) seen.set(deviceOf(entry), entry);
  }
  const ids = await Promise.all(
    [...seen.values()].map(async (entry) => clientIdAt(deps, entry.mountPoint).catch(() => undefined)),
  );
  const clients = Object.entries(known?.clients ?? {});
  return Object.fromEntries(clients.filter(([one]) => ids.includes(undefined) || ids.includes(one)));
}

function deviceOf({ major, minor }: MountInfo): string {
  return `${major}:${minor}`;
}
