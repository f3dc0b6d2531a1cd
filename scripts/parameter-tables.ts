import { cephfsParameterReference } from '../src/backend/cephfs/parameter-reference.js';
import type { ParameterReference } from '../src/backend/parameters.js';
import { rbdParameterReference } from '../src/backend/rbd/parameter-reference.js';

/** Headings of docs/configuration.md below which a table is made of the code. */
const tables: Readonly<Record<string, ParameterReference>> = {
  '## StorageClass parameters for RBD': rbdParameterReference,
  '## StorageClass parameters for CephFS': cephfsParameterReference,
};

/** The page as it has to be: its text, with the tables that the driver's own tables give. @throws when a heading is missing. */
export function withParameterTables(page: string): string {
  return Object.entries(tables).reduce((text, [heading, reference]) => {
    const [before, after, ...more] = text.split(`${heading}\n`);
    if (before === undefined || after === undefined || more.length > 0)
      throw new Error(`docs/configuration.md needs the line "${heading}" once`);
    const rows = Object.entries(reference).map(
      ([name, { fallback, meaning }]) => `| \`${name}\` | ${fallback} | ${meaning} |`,
    );
    const table = ['| Parameter | Default | Meaning |', '|---|---|---|', ...rows].join('\n');
    // A function, because a text may have $ in it.
    return `${before}${heading}\n${after.replace(/\| Parameter \| Default \| Meaning \|\n(?:\|.*\n)*/, () => `${table}\n`)}`;
  }, page);
}
