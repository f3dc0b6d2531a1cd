import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type MapperKind, mapperKinds } from './mapper.js';

export interface MappedImagesDependencies {
  /** Where the userspace mapper has its directories (userspace-mapper.ts). */
  readonly runDir: string;
  readonly sysBusRbd?: string;
  readonly sysBlock?: string;
  readonly proc?: string;
}

/** How many images this node has mapped by each mapper, those of the kernel's mappers whoever has mapped them. From tables alone. */
export async function mappedImages(deps: MappedImagesDependencies): Promise<ReadonlyMap<MapperKind, number>> {
  const counts = {
    krbd: async () => (await namesIn(join(deps.sysBusRbd ?? '/sys/bus/rbd', 'devices'))).length,
    nbd: async () => nbdImages(deps.sysBlock ?? '/sys/block', deps.proc ?? '/proc'),
    userspace: async () => (await namesIn(join(deps.runDir, 'rbd'))).length,
  } satisfies Record<MapperKind, () => Promise<number>>;
  return new Map(await Promise.all(mapperKinds.map(async (kind) => [kind, await counts[kind]()] as const)));
}

/** A device in use names its process, which for other kinds of nbd is another program. */
async function nbdImages(sysBlock: string, proc: string): Promise<number> {
  const devices = (await namesIn(sysBlock)).filter((name) => /^nbd[0-9]+$/.test(name));
  const programs = await Promise.all(
    devices.map(async (name) => {
      const pid = (await textOf(join(sysBlock, name, 'pid'))).trim();
      return /^[0-9]+$/.test(pid) ? basename((await textOf(join(proc, pid, 'cmdline'))).split('\0')[0] ?? '') : '';
    }),
  );
  return programs.filter((program) => program === 'rbd-nbd').length;
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
