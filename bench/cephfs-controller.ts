import { setTimeout as sleep } from 'node:timers/promises';
import { parseVolumeId } from '../src/domain/volume-id.js';
import type { Driver } from '../test/harness/driver.js';
import { mountCapability } from '../test/harness/requests.js';
import { measure, p50 } from './measure.js';
import type { RawCephfs } from './raw-cephfs.js';
import type { Progress, Subject } from './subject.js';
import type { Figure } from './table.js';
import { Volumes } from './volumes.js';

const fullVolumes = 7;
const filesPerVolume = 10_000;
const settleMs = 10_000;

/** Directories with a quota, beside libcephfs. */
export function cephfsSubject(raw: RawCephfs): Subject {
  const capability = mountCapability('MULTI_NODE_MULTI_WRITER', '');
  return {
    name: 'cephfs',
    create: { parameters: { backend: 'cephfs' }, capabilities: [capability] },
    capability,
    raw,
    floors: {
      create: 'ceph_mkdir, then its quota',
      lookUp: 'reading the quota',
      hide: 'ceph_rename',
      list: 'names alone (ceph_getdents)',
      listPage: 'as many names (ceph_getdents)',
      listSnapshotPage: 'as many names of the registry',
      snapshot: 'ceph_mkdir in .snap',
      deleteSnapshot: 'ceph_rmdir in .snap',
      restore: 'ceph_mkdir, then its quota',
      clone: 'ceph_mkdir in .snap and of the volume, its quota, ceph_rmdir',
      grow: 'setting the quota',
    },
    aims: {
      create: { alone: { of: 'value', most: 4 }, many: { of: 'value', least: 600 } },
      snapshot: { alone: { of: 'value', most: 5 } },
    },
    snapshots: { alone: 40, many: 160 },
  };
}

/** A delete takes as long as a rename, whatever the volume holds. */
export async function benchDeleteFull(
  driver: Driver,
  subject: Subject,
  raw: RawCephfs,
  progress: Progress,
): Promise<Figure> {
  const volumes = new Volumes(driver, subject);
  progress(`${subject.name}: filling ${fullVolumes} volumes with ${filesPerVolume} files each`);
  for (let i = 0; i < fullVolumes; i++) {
    const id = parseVolumeId(await volumes.create(`full-${i}`));
    if (id?.backend !== 'cephfs') throw new Error('CreateVolume gave no CephFS volume');
    await raw.fill(id.path, filesPerVolume);
    await raw.create(`empty-${i}`);
  }
  // The MDS writes its journal away for some time.
  await sleep(settleMs);
  progress(`${subject.name} DeleteVolume of a full volume`);
  const ours = await measure(fullVolumes, 1, async (i) => volumes.delete(`full-${i}`));
  const floor = await measure(fullVolumes, 1, async (i) => raw.hide(`empty-${i}`));
  progress(`${subject.name}: emptying the trash`);
  await raw.emptyTrash();
  return {
    what: `${subject.name} DeleteVolume p50 of ${filesPerVolume} files`,
    ours: p50(ours),
    floor: p50(floor),
    floorIs: 'ceph_rename of an empty one',
    unit: 'ms',
    aim: { of: 'value', most: 4 },
  };
}
