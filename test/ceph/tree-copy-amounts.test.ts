import { execa } from 'execa';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { context, countedNames, eachConcurrently } from './contract-subject.js';
import { copied, openCopyGround } from './copy-ground.js';
import { rawFileSystem } from './raw-file-system.js';

t.setTimeout(120_000);

t.test('copies of many files, of deep trees and of large files', async (t) => {
  const ground = await openCopyGround(t);
  const { cluster, fs, onHost } = ground;

  await t.test('thousands of small files', async (t) => {
    const raw = await rawFileSystem(cluster.confPath);
    t.teardown(async () => raw.close());
    const from = await ground.target('wide');
    const to = await ground.target('wide-copy');
    const names = countedNames('file-', 3_000);
    await eachConcurrently(names, 16, async (name) => raw.write(`${from}/${name}`, name));
    const snapshot = await ground.snapshot(from);
    const { entries, seconds } = await copied(ground, snapshot, to);
    t.equal(entries, names.length);
    t.comment(`${(entries / seconds).toFixed(0)} entries a second`);
    t.same(readdirSync(onHost(to)).toSorted(), names);
    t.equal(readFileSync(onHost(`${to}/file-02999`), 'utf8'), 'file-02999');
    const again = await copied(ground, snapshot, to);
    t.comment(`${(entries / again.seconds).toFixed(0)} entries a second when they are there`);
  });

  await t.test('hundreds of directories deep', async (t) => {
    const from = await ground.target('deep');
    const to = await ground.target('deep-copy');
    const inside = '/d'.repeat(300);
    await fs.makeDirectories(context(), `${from}${inside}`, 0o755);
    const { entries } = await copied(ground, await ground.snapshot(from), to);
    t.equal(entries, 300);
    t.match(await fs.status(context(), `${to}${inside}`), { isDirectory: true, mode: 0o755 });
  });

  await t.test('a large file', async (t) => {
    const from = await ground.target('large');
    const to = await ground.target('large-copy');
    const data = randomBytes(128 << 20);
    writeFileSync(onHost(`${from}/one`), data);
    const { bytes, seconds } = await copied(ground, await ground.snapshot(from), to);
    t.equal(bytes, BigInt(data.length));
    t.comment(`${(Number(bytes) / 1e6 / seconds).toFixed(0)} MB a second`);
    t.ok(data.equals(readFileSync(onHost(`${to}/one`))));
  });

  await t.test('a sparse file stays one, and its holes cost little', async (t) => {
    const from = await ground.target('sparse');
    const to = await ground.target('sparse-copy');
    mkdirSync(onHost(`${from}/d`));
    const path = onHost(`${from}/d/image`);
    writeFileSync(path, 'first');
    truncateSync(path, 3 * 2 ** 30);
    appendFileSync(path, 'middle');
    truncateSync(path, 4 * 2 ** 30);
    const { seconds } = await copied(ground, await ground.snapshot(from), to);
    t.comment(`${(4 / seconds).toFixed(1)} GiB of holes a second`);
    const inode = (await fs.status(context(), `${to}/d/image`)).inode.toString(16);
    const { stdout } = await execa('rados', ['--conf', cluster.confPath, '--pool', 'cephfs_data', 'ls']);
    const objects = stdout.split('\n').filter((name) => name.startsWith(`${inode}.`));
    t.same(objects.toSorted(), [`${inode}.00000000`, `${inode}.00000300`], 'the first block and the middle one');
    t.equal(statSync(onHost(`${to}/d/image`)).size, 4 * 2 ** 30);
    t.same(execFileSync('tail', ['--bytes', '6', onHost(`${to}/d/image`)]), Buffer.alloc(6));
  });
});
