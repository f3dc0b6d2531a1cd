import { readdir, readFile } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { eventually } from '../harness/eventually.js';
import { ConnectionPool } from '../../src/ceph/connection-pool.js';
import { trimMemory } from '../../src/ceph/native/memory.js';
import { useCluster } from '../harness/cluster.js';
import { context, countedNames, creation, eachConcurrently, openPool, silentLog } from './contract-subject.js';
import { realSubject } from './real-subject.js';

t.setTimeout(300_000);

setFlagsFromString('--expose-gc');
setFlagsFromString('--semi-space-growth-factor=1'); // as bin/cuttle.cjs
const collectGarbage = runInNewContext('gc') as () => void;

/** Anonymous memory when all garbage has gone: JavaScript's and malloc's. */
async function residentMiB(): Promise<number> {
  collectGarbage();
  await trimMemory();
  const status = await readFile('/proc/self/status', 'utf8');
  return Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}

t.test('work leaves no memory, no handle and no thread behind', async (t) => {
  const cluster = await useCluster();
  t.teardown(async () => cluster.stop());
  const subject = realSubject(cluster);
  t.teardown(async () => subject.dispose());
  const { images, omap } = await openPool(subject);
  const keys = ['a', 'b', 'missing'];
  const values = new Map(keys.slice(0, 2).map((key) => [key, 'x'.repeat(100)]));
  await images.create(context(), 'image', creation());
  const id = await images.id(context(), 'image');
  await images.setMetadata(context(), id, values);

  const grows = async (what: string, limitMiB: number, count: number, work: (name: string) => Promise<unknown>) => {
    const names = countedNames('leak-', count);
    await eachConcurrently(names.slice(0, count / 5), 16, work);
    const before = await residentMiB();
    await eachConcurrently(names, 16, work);
    let grownMiB = 0;
    const isBack = async () => {
      grownMiB = (await residentMiB()) - before;
      return grownMiB < limitMiB;
    };
    // What a client library keeps for a moment is no leak: a leak stays.
    await eventually(isBack, 10_000);
    t.comment(`${what}: ${grownMiB.toFixed(1)} MiB more after ${count}, ${before.toFixed(0)} MiB before`);
    t.ok(grownMiB < limitMiB, `${what} leaves memory as it was`);
  };
  await grows('header and object map calls', 25, 20_000, async () => {
    await images.header(context(), 'image', keys);
    await omap.update(context(), 'object', { set: values });
    await omap.list(context(), 'object', '', 10);
  });
  await grows('create and remove', 25, 2_000, async (name) => {
    await images.create(context(), name, creation({ sizeBytes: 1n << 22n }));
    await images.remove(context(), name);
  });
  await grows('layouts, watchers, trash and misses', 25, 1_000, async () => {
    await images.layout(context(), 'image');
    await images.watchers(context(), 'image');
    await images.listTrash(context());
    await images.header(context(), 'missing', []).catch(() => undefined);
  });
  const listed = Array<string>(40).fill(id);
  await grows('summaries of many images', 25, 1_000, async () => images.summaries(context(), listed, keys));

  const connected = await subject.client.connect(context(), subject.access);
  const fs = await connected.fileSystem(context(), subject.fileSystem, ['/']);
  const base = `/leaks-${process.pid}`;
  await fs.makeDirectories(context(), base, 0o755);
  t.teardown(async () => fs.removeTree(context(), base, { concurrency: 8 }));
  await grows('quota directories', 25, 3_000, async (name) => {
    const path = `${base}/${name}`;
    await fs.makeDirectory(context(), path, {
      mode: 0o755,
      uid: 1,
      gid: 1,
      attributes: new Map([['ceph.quota.max_bytes', '4194304']]),
    });
    await fs.attributes(context(), path, ['ceph.quota.max_bytes', 'trusted.missing']);
    await fs.rename(context(), path, `${path}-renamed`);
    await fs.removeTree(context(), `${path}-renamed`, { concurrency: 2 });
  });

  const threads = async () => (await readdir('/proc/self/task')).length;
  const files = async () => (await readdir('/proc/self/fd')).length;
  const reconnect = async () => {
    const client = new ConnectionPool({ log: silentLog });
    const connection = await client.connect(context(), subject.access);
    await connection.pool(context(), cluster.rbdPool, '');
    const mounted = await connection.fileSystem(context(), subject.fileSystem, ['/']);
    await mounted.lock(context(), `${base}/lock`);
    await client.close();
  };
  await reconnect();
  const [threadsBefore, filesBefore] = [await threads(), await files()];
  await grows('connecting, mounting and closing', 40, 200, reconnect);
  t.ok((await threads()) <= threadsBefore + 2, 'threads');
  t.ok((await files()) <= filesBefore + 2, 'open files');
});
