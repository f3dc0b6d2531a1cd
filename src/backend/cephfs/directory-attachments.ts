import { errno, ifPresent, isCephError } from '../../ceph/ceph-error.js';
import type { CephConnection, CephFileSystem } from '../../ceph/client.js';
import { DriverError, isDriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { type AttachmentRecord, fencedAddresses, parseAttachments, refuseAttached } from '../attachment-record.js';
import type { AttachmentPlace, OpenAttachments } from '../attachments.js';
import { isClientAttribute, type NodeClients, parseClients } from './directory-clients.js';
import type { FileSystems } from './file-systems.js';
import { isInSnapshot } from './volume-paths.js';

/*
 * An extended attribute can be made exclusively, but not replaced on condition. So each version of the record is an attribute of its own,
 * and the highest number counts. Whoever makes the next version decides; one that was made late, when there are higher ones already,
 * counts for nothing and is taken away by its maker. An attribute of the last version always stays.
 */
const versionPrefix = 'trusted.cuttle.attached.';

/** The attribute that counts, of all that a directory has. */
export function latestAttachments(names: readonly string[]): { readonly name: string; readonly version: number } {
  const versions = names.filter((name) => name.startsWith(versionPrefix)).map(versionOf);
  const version = Math.max(0, ...versions);
  return { name: versionPrefix + version.toString(), version };
}

/** @param path of the directory, for the sentence. @throws DriverError INTERNAL when somebody else has written there. */
export function attachmentsIn(text: string | undefined, path: string, name: string): AttachmentRecord {
  return parseAttachments(text, {
    what: `the extended attribute ${name} of ${path}`,
    removal: `setfattr -x ${name} on the mounted directory`,
  });
}

/** The attachments of directories, in the attributes of each. */
export function directoryAttachments(fileSystems: FileSystems): OpenAttachments<CephfsVolumeId> {
  return async (ctx, id, _node, credentials) => {
    try {
      const { fs, connection } = await fileSystems.open(ctx, id, credentials);
      const read = await ifPresent(readDirectory(ctx, fs, id.path));
      return read === undefined ? undefined : placeOf(ctx, { id, fs, connection, ...read });
    } catch (error) {
      // The file system itself is gone.
      if (isCephError(error, errno.ENOENT) && isDriverError(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  };
}

/** What is in use is not deleted. @throws DriverError FAILED_PRECONDITION naming the nodes. */
export async function refuseInUse(ctx: CallContext, fs: CephFileSystem, id: CephfsVolumeId): Promise<void> {
  const read = await ifPresent(readDirectory(ctx, fs, id.path));
  if (read === undefined) return;
  refuseAttached(id, read.record);
  const [user] = read.clients.flatMap(({ node, clients }) => {
    const fenced = fencedAddresses(read.record, node);
    return Object.values(clients)
      .filter((address) => !fenced.includes(address))
      .map((address) => ({ node, address }));
  });
  if (user === undefined) return;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `volume ${formatVolumeId(id)} is in use on node "${user.node}", by the client at ${user.address}: unstage it there first; for a node that is gone, ControllerUnpublishVolume shuts that client out`,
  );
}

/** What is read of a directory besides its attachments. */
export interface DirectoryAttributes {
  readonly record: AttachmentRecord;
  /** Of the record; 0 when there is none. */
  readonly version: number;
  readonly values: ReadonlyMap<string, string>;
}

const mostReads = 5;

/**
 * The MDS is asked once: the values come with the names, and are then in this client's cache.
 * @param wanted names of further attributes, of those that are set or of CephFS's own
 * @throws CephError ENOENT; DriverError ABORTED when the record was replaced each time it was looked at.
 */
export async function readAttributes(
  ctx: CallContext,
  fs: CephFileSystem,
  path: string,
  wanted: (names: readonly string[]) => readonly string[],
): Promise<DirectoryAttributes> {
  for (let reads = 0; reads < mostReads; reads++) {
    const names = isInSnapshot(path) ? [] : await fs.attributeNames(ctx, path);
    const { name, version } = latestAttachments(names);
    // Asked for when there is none, too: a directory that isn't there has to be told from one without attributes.
    const values = await fs.attributes(ctx, path, [...wanted(names), name]);
    const text = values.get(name);
    // Replaced since the names were read.
    if (version > 0 && text === undefined) continue;
    return { record: attachmentsIn(text, path, name), version, values };
  }
  throw new DriverError('ABORTED', `${path} is being attached or detached by other requests: repeat this one`);
}

interface ReadDirectory extends Omit<DirectoryAttributes, 'values'> {
  readonly clients: readonly NodeClients[];
}

async function readDirectory(ctx: CallContext, fs: CephFileSystem, path: string): Promise<ReadDirectory> {
  const { record, version, values } = await readAttributes(ctx, fs, path, (names) => names.filter(isClientAttribute));
  const clients = [...values].flatMap(([name, text]) => (isClientAttribute(name) ? (parseClients(text) ?? []) : []));
  return { record, version, clients };
}

interface OpenedDirectory extends ReadDirectory {
  readonly id: CephfsVolumeId;
  readonly fs: CephFileSystem;
  readonly connection: CephConnection;
}

function placeOf(ctx: CallContext, directory: OpenedDirectory): AttachmentPlace {
  const { record, clients, connection } = directory;
  const clientsOf = async (node: string) =>
    Promise.resolve(Object.values(clients.find((one) => one.node === node)?.clients ?? {}));
  return {
    record,
    clientNodes: clients.map(({ node }) => node),
    clients: clientsOf,
    // A clean NodeUnstageVolume has taken them away.
    holding: clientsOf,
    replace: async (next) => isInSnapshot(directory.id.path) || replace(ctx, directory, next),
    fence: async (address) => connection.fence(ctx, address),
    lift: async (address) => connection.liftFence(ctx, address),
  };
}

async function replace(ctx: CallContext, directory: OpenedDirectory, next: AttachmentRecord): Promise<boolean> {
  const { id, fs, version } = directory;
  const name = versionPrefix + (version + 1).toString();
  if (!(await fs.setAttribute(ctx, id.path, name, JSON.stringify(next), true))) return false;
  const names = await fs.attributeNames(ctx, id.path);
  if (latestAttachments(names).version > version + 1) {
    await fs.removeAttribute(ctx, id.path, name);
    return false;
  }
  for (const old of names.filter((one) => one.startsWith(versionPrefix) && versionOf(one) <= version)) {
    await fs.removeAttribute(ctx, id.path, old);
  }
  return true;
}

function versionOf(name: string): number {
  const text = name.slice(versionPrefix.length);
  return /^[1-9][0-9]{0,14}$/.test(text) ? Number(text) : 0;
}
