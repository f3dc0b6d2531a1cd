import { mkdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { type Measured, measure } from './measure.js';

export interface Binds {
  readonly bind: Measured;
  readonly unbind: Measured;
}

/** What NodePublishVolume and NodeUnpublishVolume can't be faster than. */
export async function bindByHand(
  rounds: number,
  mounted: (i: number) => string,
  target: (i: number) => string,
): Promise<Binds> {
  for (let i = 0; i < rounds; i++) await mkdir(target(i), { recursive: true });
  const bind = await measure(rounds, 1, async (i) => execa('mount', ['--bind', mounted(i), target(i)]));
  const unbind = await measure(rounds, 1, async (i) => execa('umount', [target(i)]));
  return { bind, unbind };
}

/** A daemon is gone when its command line is: nobody here reaps its zombie. */
export async function untilGone(pid: string): Promise<void> {
  while ((await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== '') await sleep(2);
}
