import { ifPresent } from '../../ceph/ceph-error.js';
import type { CephFileSystem } from '../../ceph/client.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Volume, VolumePage } from '../backend.js';
import { looksDerived } from '../object-name.js';
import { formatPageToken, parsePageToken } from '../page-token.js';
import { maxBytesAttribute, recordAttribute } from './attributes.js';
import type { FileSystems } from './file-systems.js';
import { groupsInOrder } from './groups-in-order.js';
import { recordedVolume } from './recorded-volume.js';

/** Directories whose attributes are read at the same time. */
const batch = 64;

/** Where a page ends: everything up to and including this directory has been seen. */
interface Place {
  readonly clusterId: string;
  readonly fsName: string;
  readonly name: string;
}

interface Found {
  readonly volume: Volume;
  readonly place: Place;
}

/**
 * The volumes that CreateVolume has made, in the order cluster, file system, directory, so that a page stays right while volumes
 * come and go. Uses the clusters' own credentials.
 */
export async function listVolumes(
  ctx: CallContext,
  fileSystems: FileSystems,
  after: string,
  max: number,
): Promise<VolumePage> {
  const start = after === '' ? undefined : placeOf(after);
  const found: Found[] = [];
  for await (const volume of walk(ctx, fileSystems, start)) {
    // One more than asked for tells whether there is another page.
    if (max > 0 && found.length === max)
      return { volumes: found.map((one) => one.volume), next: tokenAfter(found.at(-1)) };
    found.push(volume);
  }
  return { volumes: found.map((one) => one.volume), next: undefined };
}

async function* walk(ctx: CallContext, fileSystems: FileSystems, start: Place | undefined): AsyncGenerator<Found> {
  const place = start === undefined ? undefined : [start.clusterId, start.fsName];
  for await (const { clusterId, fsName, groupPath, fs } of groupsInOrder(ctx, fileSystems, place)) {
    const here = start?.clusterId === clusterId && start.fsName === fsName;
    yield* walkGroup(ctx, fs, { clusterId, fsName, path: groupPath }, here ? start.name : '');
  }
}

async function* walkGroup(
  ctx: CallContext,
  fs: CephFileSystem,
  group: { readonly clusterId: string; readonly fsName: string; readonly path: string },
  after: string,
): AsyncGenerator<Found> {
  // The order of a directory's entries is that of their hashes: all names are read, and sorted.
  const entries = (await ifPresent(fs.list(ctx, group.path))) ?? [];
  const names = entries
    .filter(({ name, isDirectory }) => isDirectory && looksDerived(name) && name > after)
    .map(({ name }) => name)
    .sort();
  for (let i = 0; i < names.length; i += batch) {
    const part = names.slice(i, i + batch);
    const volumes = await Promise.all(
      part.map(async (name) => volumeOf(ctx, fs, { ...group, path: `${group.path}/${name}` })),
    );
    for (const [j, name] of part.entries()) {
      const volume = volumes[j];
      if (volume !== undefined) yield { volume, place: { clusterId: group.clusterId, fsName: group.fsName, name } };
    }
  }
}

/** undefined for a directory that is gone, or was made by somebody else. */
async function volumeOf(
  ctx: CallContext,
  fs: CephFileSystem,
  id: { readonly clusterId: string; readonly fsName: string; readonly path: string },
): Promise<Volume | undefined> {
  const attributes = await ifPresent(fs.attributes(ctx, id.path, [recordAttribute, maxBytesAttribute]));
  const text = attributes?.get(recordAttribute);
  if (text === undefined) return undefined;
  return recordedVolume(id, text, attributes?.get(maxBytesAttribute));
}

function tokenAfter(last: Found | undefined): string | undefined {
  return last === undefined ? undefined : formatPageToken([last.place.clusterId, last.place.fsName, last.place.name]);
}

function placeOf(token: string): Place {
  const [clusterId = '', fsName = '', name = ''] = parsePageToken(token, 3);
  return { clusterId, fsName, name };
}
