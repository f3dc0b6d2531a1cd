import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** The top of the repository, seen from the sources as well as from dist/. */
export function repositoryRoot(): string {
  for (let dir = import.meta.dirname; dir !== dirname(dir); dir = dirname(dir)) {
    if (existsSync(join(dir, 'package-lock.json'))) return dir;
  }
  throw new Error(`package-lock.json is not above ${import.meta.dirname}`);
}

/** Texts of all *.ts files below the given folders, by their path from the top; without generated and built ones. */
export async function readSources(folders: readonly string[]): Promise<Map<string, string>> {
  const root = repositoryRoot();
  const sources = new Map<string, string>();
  for (const folder of folders) {
    const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      const path = relative(root, join(entry.parentPath, entry.name));
      if (!entry.isFile() || !path.endsWith('.ts') || isNotOurs(path)) continue;
      sources.set(path, await readFile(join(root, path), 'utf8'));
    }
  }
  return new Map([...sources].sort(([a], [b]) => a.localeCompare(b)));
}

function isNotOurs(path: string): boolean {
  return path.startsWith('src/csi/gen/') || /(?:^|\/)(?:node_modules|dist)\//.test(path);
}
