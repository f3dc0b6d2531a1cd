import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../house/read-sources.js';

export type Caps = Readonly<Record<string, string>>;

/** What docs/cephx.md names as examples, and what stands there instead. */
export interface CephPlaces {
  readonly pool?: string;
  readonly fsName?: string;
  readonly path?: string;
}

export const capsPage = readFileSync(join(repositoryRoot(), 'docs/cephx.md'), 'utf8');

/**
 * The capabilities that docs/cephx.md gives a user: who follows the page has exactly what the tests have.
 * @throws when the page has no such row.
 */
export function documentedCaps(
  user: 'controller' | 'node',
  kind: 'RBD' | 'CephFS',
  { pool = 'rbd', fsName = 'cephfs', path = '/volumes/csi' }: CephPlaces = {},
): Caps {
  const row = capsPage.split('\n').find((line) => line.startsWith(`| ${user}, ${kind} |`));
  if (row === undefined) throw new Error(`docs/cephx.md has no row for ${user}, ${kind}`);
  const cells = row.split('|').slice(2, 5);
  const words = cells.map((cell) => /^ `(.*)` $/.exec(cell)?.[1] ?? '');
  const placed = words.map((text) =>
    text
      .replaceAll('pool=rbd', `pool=${pool}`)
      .replaceAll('data=cephfs', `data=${fsName}`)
      .replaceAll('path=/volumes/csi', `path=${path}`),
  );
  return Object.fromEntries(
    ['mon', 'osd', 'mds'].flatMap((service, i) => (placed[i] === '' ? [] : [[service, placed[i] ?? '']])),
  );
}

/** The rows of one user for both kinds, as its command has them. */
export function documentedCapsOfBoth(user: 'controller' | 'node', places: CephPlaces = {}): Caps {
  const kinds = [documentedCaps(user, 'RBD', places), documentedCaps(user, 'CephFS', places)];
  const services = new Set(kinds.flatMap((caps) => Object.keys(caps)));
  return Object.fromEntries(
    [...services].map((service) => [service, kinds.flatMap((caps) => caps[service] ?? []).join(', ')]),
  );
}
