import type { CephFileSystem } from '../../ceph/client.js';
import type { CallContext } from '../../platform/call-context.js';
import type { FoundVolume, VolumePage } from '../backend.js';
import { looksDerived } from '../object-name.js';
import { formatPageToken, parsePageToken } from '../page-token.js';
import { directoryParts } from './directory-parts.js';
import type { FileSystems } from './file-systems.js';
import { groupsInOrder } from './groups-in-order.js';
import { readVolume } from './read-volume.js';

/** Directories that are read together when all are wanted. */
const batch = 500;

/** Where a page ends: everything up to and including this directory has been seen. */
interface Place {
  readonly clusterId: string;
  readonly fsName: string;
  /** In the group's directory. */
  readonly entry: string;
}

interface Found {
  readonly volume: FoundVolume;
  readonly place: Place;
}

/**
 * The volumes that CreateVolume has made, in the order cluster, file system, place in the group's directory, so that a page stays right while volumes
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
  const room = () => (max === 0 ? batch : max - found.length);
  for await (const volume of walk(ctx, fileSystems, start, room)) {
    // One more than asked for tells whether there is another page.
    if (max > 0 && found.length === max)
      return { volumes: found.map((one) => one.volume), next: tokenAfter(found.at(-1)) };
    found.push(volume);
  }
  return { volumes: found.map((one) => one.volume), next: undefined };
}

/** @param room how many volumes the page may still take */
async function* walk(
  ctx: CallContext,
  fileSystems: FileSystems,
  start: Place | undefined,
  room: () => number,
): AsyncGenerator<Found> {
  const place = start === undefined ? undefined : [start.clusterId, start.fsName];
  for await (const { clusterId, fsName, groupPath, fs } of groupsInOrder(ctx, fileSystems, place)) {
    const here = start?.clusterId === clusterId && start.fsName === fsName;
    for await (const entries of directoryParts(ctx, fs, groupPath, here ? start.entry : '', room)) {
      const ours = entries.filter(({ name, isDirectory }) => isDirectory && looksDerived(name));
      const volumes = await Promise.all(
        ours.map(async ({ name }) => volumeOf(ctx, fs, { clusterId, fsName, path: `${groupPath}/${name}` })),
      );
      for (const [i, entry] of ours.entries()) {
        const volume = volumes[i];
        if (volume !== undefined) yield { volume, place: { clusterId, fsName, entry: entry.place } };
      }
    }
  }
}

/** undefined for a directory that is gone, or was made by somebody else. */
async function volumeOf(
  ctx: CallContext,
  fs: CephFileSystem,
  id: { readonly clusterId: string; readonly fsName: string; readonly path: string },
): Promise<FoundVolume | undefined> {
  const read = await readVolume(ctx, fs, { backend: 'cephfs', ...id });
  return read?.hasRecord === true ? read.volume : undefined;
}

function tokenAfter(last: Found | undefined): string | undefined {
  return last === undefined ? undefined : formatPageToken([last.place.clusterId, last.place.fsName, last.place.entry]);
}

function placeOf(token: string): Place {
  const [clusterId = '', fsName = '', entry = ''] = parsePageToken(token, 3);
  return { clusterId, fsName, entry };
}
