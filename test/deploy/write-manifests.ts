import { writeFile } from 'node:fs/promises';
import { manifests, manifestsFile } from './manifests.js';

await writeFile(manifestsFile, await manifests());
console.log(`  written: ${manifestsFile}`);
