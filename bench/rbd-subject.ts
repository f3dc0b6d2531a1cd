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
    },
    aims: {
      create: { alone: { of: 'ratio', most: 1.5 }, many: { of: 'ratio', least: 0.75 } },
      again: { alone: { of: 'value', most: 2 } },
      delete: { alone: { of: 'value', most: 10 } },
    },
  };
}
