import { mkdir, open, readdir, readFile, statfs, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { localDaemons } from '../../src/platform/daemons.js';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { Directories } from './directories.js';
import { mountEntry } from './leftovers.js';
import { refusal } from './outcome.js';
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
});

t.test('a write past the quota fails with EDQUOT', async (t) => {
  const life = site.life(t);
  const id = await directories.make('bounded', { maxBytes: 8 * mib, maxFiles: 100 });
  const { targetPath } = await life.attach(id, many);
  const piece = Buffer.alloc(mib);
  const file = await open(join(targetPath, 'data'), 'w');
  const fill = async () => {
    // Ceph looks at the quota now and then: some more than its size may fit.
    for (let written = 0; written < 64; written++) {
      await file.write(piece);
      await file.sync();
    }
  };
  const failure = await fill().catch((error: unknown) => error as NodeJS.ErrnoException);
  t.equal(failure?.errno, -constants.errno.EDQUOT);
  await file.close();
  const [, inodes] = await life.rpc.stats(id, targetPath);
  t.match(inodes, { unit: 'INODES', total: 100n, used: 2n, available: 98n });
});

t.test(
  'a path with blanks, percent signs, quotes and letters of other scripts is a volume like any other',
  async (t) => {
    const life = site.life(t);
    const id = await directories.make('große daten, 100% "データ"/mit = und :', { maxBytes: 8 * mib });
    const paths = await life.attach(id, many);
    await writeFile(join(paths.targetPath, 'file'), 'content');
    t.equal((await life.rpc.stats(id, paths.targetPath))[0]?.total, BigInt(8 * mib));
    t.equal((await ownDaemons(id)).length, 1);
    await life.detach(id, paths);
    t.strictSame(await ownDaemons(id), [], 'its daemon has ended when NodeUnstageVolume has answered');
  },
);

t.test('the whole file system is a volume', async (t) => {
  const { targetPath } = await site.life(t).attach(directories.id('/'), many);
  t.ok((await readdir(targetPath)).includes(site.pool));
});

t.test('a reader mode is staged and published read-only', async (t) => {
  const life = site.life(t);
  const id = await directories.make('read');
  const use = { capability: mountCapability('MULTI_NODE_READER_ONLY', '') };
  const { stagingPath, targetPath } = await life.attach(id, use);
  await t.rejects(writeFile(join(targetPath, 'file'), ''), { code: 'EROFS' });
  await t.rejects(writeFile(join(stagingPath, 'file'), ''), { code: 'EROFS' });
  t.match(await refusal(life.rpc.stage(id, stagingPath, many)), {
    code: 'ALREADY_EXISTS',
    message: /unstage it first/,
  });
  t.equal((await refusal(life.publish(id, stagingPath, many))).code, 'FAILED_PRECONDITION');
});

t.test('one volume staged at two paths ends at each of them by itself', async (t) => {
  const life = site.life(t);
  const id = await directories.make('twice');
  const [one, two] = [await life.stage(id, many), await life.stage(id, many)];
  t.equal((await ownDaemons(id)).length, 2);
  await life.unstage(id, one);
  await writeFile(join(two, 'file'), 'goes on');
  t.equal((await ownDaemons(id)).length, 1);
  await life.unstage(id, two);
});

t.test('a volume outlives a driver that was killed, and the next driver takes it away', async (t) => {
  const life = site.life(t);
  const id = await directories.make('survives');
  const paths = await life.attach(id, many);
  await writeFile(join(paths.targetPath, 'file'), 'before');
  await site.restart('SIGKILL', async () => writeFile(join(paths.targetPath, 'file'), 'meanwhile'));
  await life.rpc.stage(id, paths.stagingPath, many);
  t.equal(await readFile(join(paths.targetPath, 'file'), 'utf8'), 'meanwhile');
  await life.detach(id, paths);
  t.strictSame(await ownDaemons(id), []);
});

t.test('mount options reach the mount, and what they may not say is refused', async (t) => {
  const life = site.life(t);
  const id = await directories.make('options');
  const flags = { capability: mountCapability('MULTI_NODE_MULTI_WRITER', '', ['noatime']) };
  const path = await life.stage(id, {
    ...flags,
    context: { mounter: 'fuse', fuseMountOptions: 'noexec,max_read=65536' },
  });
  const { options = [] } = (await mountEntry(path)) ?? {};
  for (const option of ['noatime', 'noexec', 'max_read=65536']) t.ok(options.includes(option), option);
  const staging = site.path('stage');
  for (const context of [
    { fuseMountOptions: 'fsname=other' },
    { kernelMountOptions: 'secret=AQ==' },
    { fuseMountOptions: 'noatime --conf=/etc/x' },
    { mounter: 'nfs' },
  ]) {
    t.equal((await refusal(life.rpc.stage(id, staging, { ...many, context }))).code, 'INVALID_ARGUMENT');
  }
  const nonsense = await refusal(life.rpc.stage(id, staging, { ...many, context: { fuseMountOptions: 'nonsense' } }));
  t.match(nonsense, { code: 'INTERNAL', message: /unknown option.*nonsense/ });
});

t.test('a mounter that this node does not have is an error, and auto says why it was passed over', async (t) => {
  const life = site.life(t);
  const id = await directories.make('mounters');
  await life.stage(id, many);
  t.match((await site.logged('mounter chosen')).join('\n'), /kernel: this kernel has no CephFS client/);
  const staging = site.path('stage');
  const { code, message } = await refusal(life.rpc.stage(id, staging, { ...many, context: { mounter: 'kernel' } }));
  t.equal(code, 'FAILED_PRECONDITION');
  t.match(message, 'mounter "kernel": kernel: this kernel has no CephFS client (modprobe ceph fails); or set mounter');
});

t.test('what can not be staged is said by name', async (t) => {
  const life = site.life(t);
  const missing = await refusal(life.stage(directories.id('missing'), many));
  t.equal(missing.code, 'NOT_FOUND', missing.message);
  t.match(missing.message, `directory "${directories.top}/missing" of file system "cephfs" in cluster "default"`);
  const noFs = await refusal(life.stage(directories.id('x', { fsName: 'no-such-fs' }), many));
  t.equal(noFs.code, 'NOT_FOUND', noFs.message);
  t.match(noFs.message, /no file system "no-such-fs" in cluster "default".*it has "cephfs"/);
  const noCluster = await refusal(life.stage(directories.id('x', { clusterId: 'elsewhere' }), many));
  t.match(noCluster, { code: 'NOT_FOUND', message: /cluster "elsewhere"/ });
  await directories.write(`${directories.top}/file`, 'no directory');
  const file = await refusal(life.stage(directories.id('file'), many));
  t.match(file, { code: 'FAILED_PRECONDITION', message: /is no directory/ });
  const block = await refusal(life.stage(directories.id('file'), { capability: blockCapability() }));
  t.match(block, { code: 'INVALID_ARGUMENT', message: /no block device/ });
});

t.test('a staging path that has something else on it is left alone', async (t) => {
  const life = site.life(t);
  const id = await directories.make('covered');
  const other = await directories.make('other');
  const path = await life.stage(other, many);
  const { code, message } = await refusal(life.rpc.stage(id, path, many));
  t.equal(code, 'FAILED_PRECONDITION');
  t.match(message, other);
  await life.rpc.unstage(id, path);
  t.ok(await mountEntry(path), 'and an unstage of another volume too');
  const filled = site.path('stage');
  await mkdir(filled);
  await writeFile(join(filled, 'file'), 'here first');
  const full = await refusal(life.rpc.stage(id, filled, many));
  t.match(full, { code: 'FAILED_PRECONDITION', message: /is not empty/ });
});

async function ownDaemons(id: string): Promise<number[]> {
  return localDaemons.find('ceph-fuse', `fsname=${id},`);
}
