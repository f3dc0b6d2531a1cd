import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

const block = '/sys/block';

/** Loop devices whose file the kernel has no name for: all mount namespaces that had one, those of pods, have gone. */
export async function namelessLoops(): Promise<string[]> {
  const names = (await readdir(block)).filter((name) => /^loop\d+$/.test(name));
  const files = await Promise.all(
    names.map(async (name) => readFile(join(block, name, 'loop', 'backing_file'), 'utf8').catch(() => '')),
  );
  return names.filter((_name, i) => files[i]?.trim() === '/').map((name) => `/dev/${name}`);
}

/** Pods that are killed leave theirs attached. */
export async function detachNamelessLoops(except: readonly string[]): Promise<void> {
  for (const device of await namelessLoops()) {
    if (!except.includes(device)) await execa('losetup', ['--detach', device], { reject: false });
  }
}
