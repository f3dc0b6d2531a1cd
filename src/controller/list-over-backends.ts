import { DriverError } from '../domain/errors.js';

/** One backend's part of a page; `next` is where that backend goes on. */
export interface Part<T> {
  readonly items: readonly T[];
  readonly next: string | undefined;
}

/**
 * Backend after backend, in the order of their names; a token names the backend whose part comes next.
 * @param maxEntries 0 = all
 * @throws DriverError ABORTED for a token that was not given out here (CSI spec, ListVolumes and ListSnapshots Errors).
 */
export async function listOverBackends<K extends string, T>(
  backends: readonly K[],
  { maxEntries, startingToken }: { readonly maxEntries: number; readonly startingToken: string },
  list: (backend: K, after: string, max: number) => Promise<Part<T>>,
): Promise<Part<T>> {
  const kinds = [...backends].sort();
  const [startKind, startAfter] = parseToken(startingToken, kinds);
  const items: T[] = [];
  for (const [i, kind] of kinds.slice(kinds.indexOf(startKind)).entries()) {
    const room = maxEntries === 0 ? 0 : maxEntries - items.length;
    if (maxEntries !== 0 && room === 0) return { items, next: `${kind}:` };
    const part = await list(kind, i === 0 ? startAfter : '', room);
    items.push(...part.items);
    if (part.next !== undefined) return { items, next: `${kind}:${part.next}` };
  }
  return { items, next: undefined };
}

function parseToken<K extends string>(token: string, kinds: readonly K[]): [K, string] {
  const [first] = kinds;
  if (token === '' && first !== undefined) return [first, ''];
  const at = token.indexOf(':');
  const kind = kinds.find((one) => one === token.slice(0, at));
  if (at > 0 && kind !== undefined) return [kind, token.slice(at + 1)];
  throw new DriverError('ABORTED', 'starting_token is not one that this list gave out: start again without it');
}
