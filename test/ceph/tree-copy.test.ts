import { readdirSync, readFileSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { CephFileSystem, TreeCopy } from '../../src/ceph/client.js';
import { type TestCluster, useCluster } from '../harness/cluster.js';
import { context, failureOf } from './contract-subject.js';
import { directory } from './file-system.contract.js';
import { buildOddTree, mountAll, surveyOf } from './odd-tree.js';
import { realSubject } from './real-subject.js';

t.setTimeout(300_000);

const base = `/copy-${process.pid}`;
const odd = `${base}/odd`;
const snapshot = `${odd}/.snap/taken`;
const eight = { concurrency: 8 };

interface Subject {
  readonly cluster: TestCluster;
  readonly fs: CephFileSystem;
  readonly onHost: (path: string) => string;
}

t.test('copies of trees as workloads leave them', async (t) => {
  const cluster = await useCluster();
  t.teardown(async () => cluster.stop());
  const real = realSubject(cluster);
  t.teardown(async () => real.dispose());
  const connection = await real.client.connect(context(), real.access);
  const fs = await connection.fileSystem(context(), real.fileSystem, ['/']);
  await fs.makeDirectories(context(), `${base}/outside`, 0o755);
  const root = mountAll(t, cluster);
  const subject: Subject = { cluster, fs, onHost: (path) => join(root, path) };
  writeFileSync(subject.onHost(`${base}/outside/file`), 'precious');
  buildOddTree(subject.onHost(odd), 30);
  await fs.makeDirectory(context(), snapshot, directory());
  await everything(t, subject);
  await failures(t, subject);
  await fs.removeDirectory(context(), snapshot);
  await fs.removeTree(context(), base, eight);
});

async function target(fs: CephFileSystem, name: string, quotaBytes?: number): Promise<string> {
  const path = `${base}/${name}`;
  const attributes = new Map([['trusted.cuttle.volume', 'the target']]);
  if (quotaBytes !== undefined) attributes.set('ceph.quota.max_bytes', String(quotaBytes));
  await fs.makeDirectory(context(), path, directory({ attributes }));
  return path;
}

/** What was copied by the call itself. */
async function copied(fs: CephFileSystem, from: string, to: string, how: TreeCopy = eight) {
  let progress = { entries: 0, bytes: 0n };
  let told = 0;
  const began = performance.now();
  const onProgress = (now: typeof progress) => {
    progress = now;
    told += 1;
  };
  await fs.copyTree(context(), from, to, { ...how, onProgress });
  return { ...progress, told, seconds: (performance.now() - began) / 1000 };
}

async function everything(t: Test, { fs, onHost }: Subject): Promise<void> {
  await t.test('a snapshot is copied with all that its files have', async (t) => {
    const to = await target(fs, 'everything', 1_000_000_000);
    writeFileSync(onHost(`${odd}/later`), 'not in the snapshot');
    unlinkSync(onHost(`${odd}/a/b/large`));
    const wanted = surveyOf(onHost(snapshot));
    const { entries, told, seconds } = await copied(fs, snapshot, to);
    t.same(surveyOf(onHost(to)), wanted);
    t.equal(entries, wanted.length - 1);
    t.ok(told <= 2 + 2 * seconds, `told ${told} times in ${seconds} s`);
    const names = ['trusted.cuttle.volume', 'ceph.quota.max_bytes'];
    const own = new Map([
      ['trusted.cuttle.volume', 'the target'],
      ['ceph.quota.max_bytes', '1000000000'],
    ]);
    t.same(await fs.attributes(context(), to, names), own, 'the target’s own');
    t.equal(readFileSync(onHost(`${base}/outside/file`), 'utf8'), 'precious');
    t.same(readdirSync(onHost(`${base}/outside`)), ['file']);
  });

  await t.test('again, it copies nothing, and puts right what is missing or half', async (t) => {
    const to = `${base}/everything`;
    const wanted = surveyOf(onHost(snapshot));
    t.equal((await copied(fs, snapshot, to)).bytes, 0n);
    t.same(surveyOf(onHost(to)), wanted);
    unlinkSync(onHost(`${to}/a/b/c/hard`));
    truncateSync(onHost(`${to}/a/b/one-block`), 1 << 20);
    unlinkSync(onHost(`${to}/fifo`));
    writeFileSync(onHost(`${to}/fifo`), 'no fifo');
    const { bytes } = await copied(fs, snapshot, to);
    t.same(surveyOf(onHost(to)), wanted);
    t.ok(bytes <= (4n << 20n) + 600n, `${bytes} bytes`);
  });

  await t.test('a directory that is no snapshot is copied too', async (t) => {
    const to = await target(fs, 'living');
    await fs.copyTree(context(), odd, to, { concurrency: 1 });
    t.same(surveyOf(onHost(to)), surveyOf(onHost(odd)));
  });
}

async function failures(t: Test, { fs, onHost }: Subject): Promise<void> {
  await t.test('what is missing, no directory, or within itself is refused', async (t) => {
    const to = await target(fs, 'refused');
    t.match(await failureOf(fs.copyTree(context(), `${base}/missing`, to, eight)), { code: 'NOT_FOUND' });
    t.match(await failureOf(fs.copyTree(context(), odd, `${base}/missing`, eight)), { code: 'NOT_FOUND' });
    t.match(await failureOf(fs.copyTree(context(), `${odd}/setuid`, to, eight)), { code: 'FAILED_PRECONDITION' });
    t.match(await failureOf(fs.copyTree(context(), odd, `${odd}/empty`, eight)), { code: 'INVALID_ARGUMENT' });
    t.match(await failureOf(fs.copyTree(context(), odd, odd, eight)), { code: 'INVALID_ARGUMENT' });
    t.same(readdirSync(onHost(to)), []);
  });
}
