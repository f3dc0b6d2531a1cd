import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { blockCapability, mountCapability } from '../../harness/requests.js';
import { mountEntry } from '../../integration/leftovers.js';
import { Site } from '../../integration/site.js';

const site = await Site.open(t);
const byKrbd = { backend: 'rbd', clusterID: 'default', pool: site.pool, mounter: 'krbd' };

t.test('a blank image is mapped by the kernel, formatted and mounted, and its data is there again', async (t) => {
  const life = site.life(t);
  const { id, context } = await life.create({ parameters: byKrbd });
  const how = { capability: mountCapability(), context };
  const stagingPath = await life.stage(id, how);
  t.match((await mountEntry(stagingPath))?.source, /^\/dev\/rbd[0-9]+$/);
  await writeFile(join(stagingPath, 'data'), 'kept', { flush: true });
  await life.unstage(id, stagingPath);
  const again = await life.attach(id, how);
  t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), 'kept');
});

t.test('a raw block volume is the kernel device itself', async (t) => {
  const life = site.life(t);
  const block = { capability: blockCapability() };
  const { id, context } = await life.create({ parameters: byKrbd, capabilities: [block.capability] });
  const { targetPath } = await life.attach(id, { ...block, context });
  t.match((await mountEntry(targetPath))?.root, /^\/rbd[0-9]+$/);
});
