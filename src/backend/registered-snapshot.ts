import { DriverError } from '../domain/errors.js';
import { parseWritten } from './written-json.js';

/** What each kind's registry has about a snapshot of ours; before it is taken, without the last two. */
export interface RegisteredSnapshot {
  readonly version: 1;
  /** The CO's name for it. */
  readonly name: string;
  /** Decimal, in bytes. */
  readonly sizeBytes?: string;
  readonly createdMs?: number;
}

export type Taken<Entry extends RegisteredSnapshot> = Entry &
  Required<Pick<RegisteredSnapshot, 'sizeBytes' | 'createdMs'>>;

export function isTaken<Entry extends RegisteredSnapshot>(entry: Entry): entry is Taken<Entry> {
  return entry.sizeBytes !== undefined && entry.createdMs !== undefined;
}

/** Where an entry lies, for the sentence. */
export interface EntryPlace {
  readonly what: string;
  /** What an administrator does when the snapshot is gone. */
  readonly removal: string;
}

/**
 * @param names the fields that this kind's entries have besides, all of them text
 * @throws DriverError INTERNAL when somebody else has written there.
 */
export function parseEntry<Entry extends RegisteredSnapshot>(
  text: string,
  names: readonly Exclude<keyof Entry, keyof RegisteredSnapshot>[],
  where: EntryPlace,
): Entry {
  return parseWritten<Entry>(
    text,
    (fields) => typeof fields.name === 'string' && names.every((name) => typeof fields[name] === 'string'),
    `${where.what} is not what Cuttle wrote: restore it, or remove ${where.removal} if the snapshot is gone`,
  );
}

/** For whoever finds the name taken and then nothing there. */
export function beingDeleted(name: string): DriverError {
  return new DriverError('ABORTED', `snapshot "${name}" is being deleted at this moment: repeat the request`);
}
