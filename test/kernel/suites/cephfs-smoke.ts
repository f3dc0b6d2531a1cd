import { readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { mountCapability } from '../../harness/requests.js';
import { mountEntry } from '../../integration/leftovers.js';
import { Site } from '../../integration/site.js';

const site = await Site.open(t);
const directory = { backend: 'cephfs', clusterID: 'default', fsName: site.cluster.fsName };
const capability = mountCapability('MULTI_NODE_MULTI_WRITER', '');

t.test('a directory is mounted by the kernel, which is what "auto" takes, and its data is there again', async (t) => {
  const life = site.life(t);
  const quotaBytes = 64n << 20n;
  const { id, context } = await life.create({
    parameters: directory,
    capabilities: [capability],
    requiredBytes: quotaBytes,
  });
  const { stagingPath, targetPath } = await life.attach(id, { capability, context });
  t.equal((await mountEntry(stagingPath))?.fsType, 'ceph');
  const { blocks, bsize } = await statfs(targetPath);
  t.equal(BigInt(blocks) * BigInt(bsize), quotaBytes, 'df shows the quota');
  await writeFile(join(targetPath, 'data'), 'kept', { flush: true });
  await life.unpublish(id, targetPath);
  await life.unstage(id, stagingPath);
  const again = await life.attach(id, { capability, context });
  t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), 'kept');
});
