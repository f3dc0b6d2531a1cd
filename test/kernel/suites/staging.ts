import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { mountCapability } from '../../harness/requests.js';
import { Site } from '../../integration/site.js';
import { ProcessAccounting, show } from '../process-accounting.js';

/*
 * What one NodeStageVolume through krbd costs: the processes that it starts, as the kernel counts them, and its time. The reference driver,
 * ceph-csi, starts eleven for one.
 */

t.setTimeout(580_000);

const mostForBlank = 4;
const reference = 11;

const site = await Site.open(t);
const accounting = await ProcessAccounting.start(join(site.directory, 'accounting'));
t.teardown(() => {
  accounting.stop();
});
const rows: (readonly string[])[] = [['NodeStageVolume through krbd', 'processes', 'ms', 'which', 'ceph-csi']];
t.teardown(async () => show(table(rows)));

/** Stages once beforehand: that the module is there by then, as on a node in use, is not part of what is measured. */
await t.test('the first stage of this node loads the module', async (t) => {
  const life = site.life(t);
  const { id, context } = await life.create({ parameters: byKrbd() });
  await life.unstage(id, await life.stage(id, { context }));
});

for (const fsType of ['ext4', 'xfs']) {
  t.test(`${fsType}: few processes for a blank image, mount(8) alone for a formatted one`, async (t) => {
    const life = site.life(t);
    const capability = mountCapability('SINGLE_NODE_WRITER', fsType);
    const { id, context } = await life.create({ parameters: byKrbd(), capabilities: [capability] });
    const stagingPath = site.path('stage');
    const stage = async () => life.stage(id, { path: stagingPath, capability, context });

    const first = await measured(`${fsType}, blank image`, stage);
    t.ok(first.includes(`mkfs.${fsType}`), 'the count sees what is started');
    t.ok(first.length <= mostForBlank, `${first.length} processes: ${first.join(', ')}`);
    await writeFile(join(stagingPath, 'data'), 'kept', { flush: true });
    await measured(`${fsType}, unstage`, async () => life.unstage(id, stagingPath));

    const again = await measured(`${fsType}, formatted image`, stage);
    t.strictSame(again, ['mount']);
    t.equal(await readFile(join(stagingPath, 'data'), 'utf8'), 'kept');
  });
}

function byKrbd(): Record<string, string> {
  return { backend: 'rbd', clusterID: 'default', pool: site.pool, mounter: 'krbd' };
}

async function measured(what: string, work: () => Promise<unknown>): Promise<string[]> {
  const startMs = performance.now();
  let endMs = startMs;
  const programs = await accounting.during(site.driver.pid, async () => {
    await work();
    endMs = performance.now();
  });
  const forReference = what.includes('image') ? String(reference) : '';
  rows.push([what, String(programs.length), (endMs - startMs).toFixed(0), programs.join(' '), forReference]);
  return programs;
}

function table(all: readonly (readonly string[])[]): string[] {
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
