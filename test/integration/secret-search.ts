import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The key as it is, and as it might be written after somebody has decoded or encoded it. */
export function formsOf(key: string): Buffer[] {
  const bytes = Buffer.from(key, 'base64');
  const texts = [key, bytes.toString('hex'), Buffer.from(key).toString('hex'), Buffer.from(key).toString('base64')];
  return [...texts.map((text) => Buffer.from(text)), bytes];
}

/** Every process's arguments and environment, and every file below the directory. @returns where one of the forms is. */
async function search(directory: string, needles: readonly Buffer[]): Promise<string[]> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const places = [
    ...processes.flatMap((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`]),
    ...(await filesBelow(directory)),
    ...(await filesBelow('/dev/shm')),
  ];
  const hits = await Promise.all(
    places.map(async (path) => {
      const content = await readFile(path).catch(() => Buffer.alloc(0));
      return needles.some((needle) => content.includes(needle)) ? [path] : [];
    }),
  );
  return hits.flat();
}

/** What shows an image: to look into it would be to read the volume. */
const images = ['image', 'image.luks'];

/** Regular files. What is mounted below is left out: a directory that is being read could not be unmounted. */
async function filesBelow(directory: string, device?: number): Promise<string[]> {
  // Whatever is found may be gone when it is looked at.
  const own = await lstat(directory).catch(() => undefined);
  if (own === undefined || (device !== undefined && own.dev !== device)) return [];
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return filesBelow(path, own.dev);
      return entry.isFile() && !images.includes(entry.name) ? [path] : [];
    }),
  );
  return found.flat();
}

/** Searches over and over. stop() @returns every place where something was found, and how often it looked. */
export function sampler(
  directory: string,
  needles: readonly Buffer[],
): { stop: () => Promise<{ hits: string[]; rounds: number }> } {
  const hits = new Set<string>();
  let rounds = 0;
  let stopped = false;
  const running = (async () => {
    while (!stopped) {
      for (const hit of await search(directory, needles)) hits.add(hit);
      rounds += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await running;
      return { hits: [...hits], rounds };
    },
  };
}
