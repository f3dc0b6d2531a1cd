import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DemoContext, DemoVolume, type DemoVolumeOptions, inMib } from './demo-volume.js';

/**
 * A snapshot is taken of a staged and published volume; the volume goes on; what is restored, larger, has what was there. Then the
 * volume, the snapshot and what was made of it are deleted, in this order. The volume is attached and has a pod called `pod`.
 */
export async function showRestore(
  context: DemoContext,
  volume: DemoVolume,
  options: DemoVolumeOptions,
  restoredBytes: bigint,
): Promise<void> {
  const { steps } = context;
  const note = (of: DemoVolume): string => join(of.target(), 'snapshot-note');
  await writeFile(note(volume), 'before the snapshot', { flush: true });
  const snapshot = await steps.run(
    'CreateSnapshot while the pod runs',
    async () => volume.snapshot(`${options.name}-snapshot`),
    (id) => id.slice(id.indexOf('@') + 1),
  );
  await writeFile(note(volume), 'after the snapshot', { flush: true });
  const create = { ...options.create, requiredBytes: restoredBytes, source: { snapshot } };
  const restored = new DemoVolume(context, { ...options, name: `${options.name}-restored`, create });
  await steps.run(`CreateVolume from the snapshot, ${inMib(restoredBytes)}`, async () => restored.create());
  await steps.run(
    'stage and publish it: what was there is there',
    async () => {
      await restored.attach();
      const text = await readFile(note(restored), 'utf8');
      if (text !== 'before the snapshot') throw new Error(`the restored volume says "${text}"`);
      return restored.usage();
    },
    (text) => text,
  );
  await steps.run('delete the volume, the snapshot, what was restored', async () => {
    await volume.detach();
    await volume.delete();
    await volume.deleteSnapshot(snapshot);
    await restored.detach();
    await restored.delete();
  });
}
