import { DriverError } from '../domain/errors.js';

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
  try {
    const entry: unknown = JSON.parse(text);
    if (isEntry<Entry>(entry, names)) return entry;
  } catch {
    // falls through to the one answer
  }
  throw new DriverError(
    'INTERNAL',
    `${where.what} is not what Cuttle wrote: restore it, or remove ${where.removal} if the snapshot is gone`,
  );
}

function isEntry<Entry extends RegisteredSnapshot>(value: unknown, names: readonly (keyof Entry)[]): value is Entry {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Partial<Record<keyof Entry, unknown>>;
  return typeof fields.name === 'string' && names.every((name) => typeof fields[name] === 'string');
}

/** For whoever finds the name taken and then nothing there. */
export function beingDeleted(name: string): DriverError {
  return new DriverError('ABORTED', `snapshot "${name}" is being deleted at this moment: repeat the request`);
}
