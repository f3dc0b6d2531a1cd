import { mountCapability } from '../test/harness/requests.js';
import type { RawVolumes, Subject } from './subject.js';

/** Images, beside librbd. */
export function rbdSubject(pool: string, raw: RawVolumes): Subject {
  return {
    name: 'rbd',
    create: { parameters: { pool } },
    capability: mountCapability(),
    raw,
    floors: {
      create: 'rbd_create4',
      lookUp: 'reading rbd_id',
      hide: 'rbd_trash_move',
      list: 'names alone (dir_list)',
      listPage: 'as many names (dir_list)',
      listSnapshotPage: 'as many keys of the registry',
      snapshot: 'rbd_open, rbd_snap_create',
      deleteSnapshot: 'rbd_open, rbd_snap_remove',
      restore: 'rbd_clone3',
      clone: 'rbd_snap_create, rbd_clone3, rbd_snap_remove',
      grow: 'rbd_open, rbd_resize',
    },
    aims: {
      create: { alone: { of: 'ratio', most: 1.5 }, many: { of: 'ratio', least: 0.75 } },
      again: { alone: { of: 'value', most: 2 } },
      delete: { alone: { of: 'value', most: 10 } },
      // Half of what two rounds of the monitors' take.
      snapshot: { alone: { of: 'value', most: 1_003.5 } },
      restore: { alone: { of: 'value', most: 40 } },
    },
    snapshots: { alone: 5, many: 48 },
  };
}
