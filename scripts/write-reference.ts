import { readFile, writeFile } from 'node:fs/promises';
import { withParameterTables } from './parameter-tables.js';

const path = 'docs/configuration.md';
await writeFile(path, withParameterTables(await readFile(path, 'utf8')));
console.log(`written: the tables of StorageClass parameters in ${path}`);
