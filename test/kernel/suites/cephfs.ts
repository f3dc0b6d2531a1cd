import { appendFile, readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { mountCapability } from '../../harness/requests.js';
import { capsFor } from '../../integration/directories.js';
import { asDirectory, asShared, pathOf } from '../../integration/group.js';
import { eventually } from '../../integration/images.js';
import { mountEntry } from '../../integration/leftovers.js';
import { Site } from '../../integration/site.js';

/** What volumes of directories promise, kept by the kernel's own client. */
const site = await Site.open(t);
const byKernel = { ...asDirectory, parameters: { ...asDirectory.parameters, mounter: 'kernel' } };
const mib = 1n << 20n;
/** libuv has no name for it. */
const edquot = 122;

async function sizeOf(path: string): Promise<bigint> {
  const { blocks, bsize } = await statfs(path);
  return BigInt(blocks) * BigInt(bsize);
}

t.test('a directory grows in use, and what is written beyond its size is refused', async (t) => {
  const life = site.life(t);
  const { id, context } = await life.create({ ...byKernel, requiredBytes: 8n * mib });
  const { targetPath } = await life.attach(id, { ...asShared, context });
  const file = join(targetPath, 'data');
  const fill = async (): Promise<bigint> => {
    for (let written = 0n; ; written += mib) {
      try {
        await appendFile(file, Buffer.alloc(Number(mib)), { flush: true });
      } catch (error) {
        t.equal((error as NodeJS.ErrnoException).errno, -edquot);
        return written;
      }
      // Ceph looks from time to time (pitfall 19): a little more than the size may fit, not several times of it.
      if (written > 64n * mib) throw new Error('the quota is not enforced');
    }
  };
  t.ok((await fill()) >= 7n * mib);
  await life.rpc.expand(id, 24n * mib);
  await life.rpc.expandNode(id, targetPath);
  t.ok(await eventually(async () => (await sizeOf(targetPath)) === 24n * mib, 10_000), 'df shows the new size');
  t.ok((await fill()) >= 8n * mib, 'there is room again');
});

t.test('a reader gets a read-only mount, two pods share one for writing', async (t) => {
  const life = site.life(t);
  const { id, context } = await life.create(byKernel);
  const stagingPath = await life.stage(id, { ...asShared, context });
  const writer = await life.publish(id, stagingPath, { ...asShared, context });
  const reader = await life.publish(id, stagingPath, { ...asShared, context, readOnly: true });
  await writeFile(join(writer, 'data'), 'shared');
  t.equal(await readFile(join(reader, 'data'), 'utf8'), 'shared');
  await t.rejects(writeFile(join(reader, 'more'), ''), { code: 'EROFS' });
});

t.test('a snapshot for readers is mounted as it was taken', async (t) => {
  const life = site.life(t);
  const source = await life.create(byKernel);
  const writer = await life.attach(source.id, { ...asShared, context: source.context });
  await writeFile(join(writer.targetPath, 'data'), 'then', { flush: true });
  const snapshot = await life.snapshot(source.id);
  await writeFile(join(writer.targetPath, 'data'), 'now', { flush: true });
  const readers = mountCapability('MULTI_NODE_READER_ONLY', '');
  const asked = { ...byKernel, capabilities: [readers], source: { snapshot: snapshot.id } };
  const { id, context } = await life.create(asked);
  const { stagingPath, targetPath } = await life.attach(id, { capability: readers, context });
  t.equal((await mountEntry(stagingPath))?.fsType, 'ceph');
  t.equal(await readFile(join(targetPath, 'data'), 'utf8'), 'then');
  await t.rejects(writeFile(join(targetPath, 'more'), ''), { code: 'EROFS' });
});

t.test('a key that is restricted to the directory mounts it', async (t) => {
  const life = site.life(t);
  const { id, context } = await life.create(byKernel);
  const user = `kernel-${site.pool}`;
  const userKey = await site.cluster.createUser(user, capsFor(pathOf(id)));
  t.teardown(async () => site.cluster.removeUser(user));
  const { stagingPath, targetPath } = await life.attach(id, {
    ...asShared,
    context,
    secrets: { userID: user, userKey },
  });
  t.ok((await mountEntry(stagingPath))?.options.includes(`name=${user}`));
  await writeFile(join(targetPath, 'data'), 'own', { flush: true });
  t.notMatch(await readFile('/proc/self/mountinfo', 'utf8'), userKey);
});
