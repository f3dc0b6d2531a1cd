import { execa } from 'execa';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { CephFileSystem, TreeCopy } from '../../src/ceph/client.js';
import { DriverError } from '../../src/domain/errors.js';
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
  await cutOff(t, subject);
  await killed(t, subject);
  await failures(t, subject);
  await amounts(t, subject);
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

async function cutOff(t: Test, { fs, onHost }: Subject): Promise<void> {
  await t.test('cut off again and again, it gets whole', async (t) => {
    const to = await target(fs, 'cut-off');
    let cuts = 0;
    for (let limitMs = 5; ; limitMs *= 1.3) {
      const controller = new AbortController();
      const timer = setTimeout(
        () => {
          controller.abort(new DriverError('CANCELLED', 'the caller has gone'));
        },
        limitMs * (0.5 + Math.random()),
      );
      const copying = fs.copyTree({ ...context(), signal: controller.signal }, snapshot, to, eight);
      const isWhole = await copying.then(
        () => true,
        (error: unknown) => {
          t.match(error, { code: 'CANCELLED' });
          return false;
        },
      );
      clearTimeout(timer);
      if (isWhole) break;
      cuts += 1;
    }
    t.ok(cuts > 2, `${cuts} times`);
    t.same(surveyOf(onHost(to)), surveyOf(onHost(snapshot)));
  });
}

async function killed(t: Test, { fs, onHost, cluster }: Subject): Promise<void> {
  await t.test('killed right after the copy was renamed into place, nothing is lost', async (t) => {
    const hidden = await target(fs, 'hidden');
    const to = `${base}/in-place`;
    const orders = { monitors: cluster.monHost, key: cluster.adminKey, from: snapshot, hidden, to };
    const victim = join(import.meta.dirname, 'tree-copy-victim.js');
    const running = execa(process.execPath, [victim], { input: JSON.stringify(orders), reject: false });
    const died = await running;
    t.equal(died.signal, 'SIGKILL', died.stderr);
    const listed = await cluster.ceph(['tell', 'mds.a', 'client', 'ls', '--format', 'json']);
    const clients = JSON.parse(listed) as { id: number; client_metadata: { pid?: string } }[];
    const left = clients.filter(({ client_metadata }) => client_metadata.pid === String(running.pid));
    t.equal(left.length, 1);
    for (const { id } of left) await cluster.ceph(['tell', 'mds.a', 'client', 'evict', `id=${id}`]);
    t.same(surveyOf(onHost(to)), surveyOf(onHost(snapshot)));
  });
}

async function failures(t: Test, { fs, onHost }: Subject): Promise<void> {
  await t.test('where a quota ends the copy, the error names the file, and a larger one lets it go on', async (t) => {
    const to = await target(fs, 'too-small', 6_000_000);
    const failure = await failureOf(fs.copyTree(context(), snapshot, to, eight));
    t.match(failure, { code: 'RESOURCE_EXHAUSTED', message: new RegExp(`can't copy ${snapshot}/.+ to ${to} .*quota`) });
    await fs.setAttribute(context(), to, 'ceph.quota.max_bytes', '1000000000');
    await fs.copyTree(context(), snapshot, to, eight);
    t.same(surveyOf(onHost(to)), surveyOf(onHost(snapshot)));
  });

  await t.test('what changes while it is copied is an error', async (t) => {
    const from = await target(fs, 'changing');
    const to = await target(fs, 'changed');
    writeFileSync(onHost(`${from}/file`), randomBytes(40 << 20));
    let told = 0;
    const onProgress = () => {
      if (told++ === 0) truncateSync(onHost(`${from}/file`), 1_000);
    };
    const failure = await failureOf(fs.copyTree(context(), from, to, { ...eight, onProgress }));
    t.match(failure, { code: 'ABORTED', message: /changing\/file.* meanwhile/ });
  });

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

async function amounts(t: Test, { fs, onHost }: Subject): Promise<void> {
  await t.test('10,000 small files', async (t) => {
    const from = await target(fs, 'wide');
    const to = await target(fs, 'wide-copy');
    for (let i = 0; i < 10_000; i++) writeFileSync(onHost(`${from}/file-${i}`), `${i}`);
    const { entries, seconds } = await copied(fs, from, to);
    t.equal(entries, 10_000);
    t.comment(`${(entries / seconds).toFixed(0)} entries a second`);
    t.same(readdirSync(onHost(to)).toSorted(), readdirSync(onHost(from)).toSorted());
    t.equal(readFileSync(onHost(`${to}/file-9999`), 'utf8'), '9999');
    const again = await copied(fs, from, to);
    t.comment(`${(entries / again.seconds).toFixed(0)} entries a second when they are there`);
  });

  await t.test('500 directories deep', async (t) => {
    const from = await target(fs, 'deep');
    const to = await target(fs, 'deep-copy');
    const inside = '/d'.repeat(500);
    await fs.makeDirectories(context(), `${from}${inside}`, 0o755);
    const { entries, seconds } = await copied(fs, from, to);
    t.equal(entries, 500);
    t.comment(`${(entries / seconds).toFixed(0)} entries a second`);
    t.match(await fs.status(context(), `${to}${inside}`), { isDirectory: true, mode: 0o755 });
  });

  await t.test('large files', async (t) => {
    const from = await target(fs, 'large');
    const to = await target(fs, 'large-copy');
    const data = randomBytes(256 << 20);
    for (const name of ['one', 'two']) writeFileSync(onHost(`${from}/${name}`), data);
    await sleep(100);
    const { bytes, seconds } = await copied(fs, from, to);
    t.equal(bytes, 512n << 20n);
    t.comment(`${(Number(bytes) / 1e6 / seconds).toFixed(0)} MB a second`);
    t.ok(data.equals(readFileSync(onHost(`${to}/two`))));
  });

  await t.test('a sparse file stays one, and its holes cost little', async (t) => {
    const from = await target(fs, 'sparse');
    const to = await target(fs, 'sparse-copy');
    mkdirSync(onHost(`${from}/d`));
    const path = onHost(`${from}/d/image`);
    writeFileSync(path, 'first');
    truncateSync(path, 8 * 2 ** 30);
    const { seconds } = await copied(fs, from, to);
    t.comment(`${(8 / seconds).toFixed(1)} GiB of holes a second`);
    t.equal((await fs.status(context(), `${to}/d/image`)).isDirectory, false);
    t.equal(readFileSync(onHost(`${to}/d/image`), { flag: 'r' }).length, 8 * 2 ** 30);
  });
}
