import { readdir, readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { mountCapability } from '../harness/requests.js';
import { Directories } from './directories.js';
import { mountEntry } from './leftovers.js';
import { refusal } from './rpc.js';
import { Site } from './site.js';

t.setTimeout(180_000);

const site = await Site.open(t);
const directories = await Directories.open(t, site);
const mib = 1 << 20;
const many = { capability: mountCapability('MULTI_NODE_MULTI_WRITER', '') };

t.test('a directory is staged, shared by two targets, bounded by its quota, and leaves nothing behind', async (t) => {
  const life = site.life(t);
  const id = await directories.make('shared', { maxBytes: 32 * mib });
  const staging = await life.stage(id, many);
  await life.rpc.stage(id, staging, many);
  const [one, two] = [await life.publish(id, staging, many), await life.publish(id, staging, many)];
  await writeFile(join(one, 'note'), 'from one');
  t.equal(await readFile(join(two, 'note'), 'utf8'), 'from one');
  t.equal(await directories.read(`${directories.top}/shared/note`), 'from one', 'and on other nodes');
  const fs = await statfs(one);
  t.equal(fs.blocks * fs.bsize, 32 * mib, 'df shows the quota as the size');
  const [bytes, inodes] = await life.rpc.stats(id, one);
  t.equal(bytes?.total, BigInt(32 * mib));
  t.match(inodes, { unit: 'INODES', total: 0n, used: 2n });
  await life.unpublish(id, one);
  t.match(await refusal(life.rpc.unstage(id, staging)), { code: 'FAILED_PRECONDITION', message: new RegExp(two) });
  t.equal(await readFile(join(two, 'note'), 'utf8'), 'from one');
  await life.unpublish(id, two);
  await life.unstage(id, staging);
  await life.rpc.unstage(id, staging);
  t.equal(await mountEntry(staging), undefined);
  t.strictSame(await readdir('/run/ceph').catch(() => []), [], 'no socket');
});
