import t, { type Test } from 'tap';
import type { CephClient, CephFileSystem } from '../../src/ceph/client.js';
import { DriverError } from '../../src/domain/errors.js';
import { useCluster } from '../harness/cluster.js';
import { context, countedNames, eachConcurrently, failureOf } from './contract-subject.js';
import { type RawFileSystem, rawFileSystem } from './raw-file-system.js';
import { realSubject } from './real-subject.js';

t.setTimeout(300_000);

const base = `/removal-${process.pid}`;
const eight = { concurrency: 8 };

interface Subject {
  readonly fs: CephFileSystem;
  readonly other: CephFileSystem;
  readonly raw: RawFileSystem;
}

t.test('removal of trees as workloads leave them', async (t) => {
  const cluster = await useCluster();
  t.teardown(async () => cluster.stop());
  const subject = realSubject(cluster);
  t.teardown(async () => subject.dispose());
  const raw = await rawFileSystem(cluster.confPath);
  t.teardown(async () => raw.close());
  const mounted = async (client: CephClient) =>
    (await client.connect(context(), subject.access)).fileSystem(context(), subject.fileSystem, ['/']);
  const fs = await mounted(subject.client);
  const other = await mounted(subject.anotherClient());
  await fs.makeDirectories(context(), base, 0o755);
  await names(t, { fs, other, raw });
  await links(t, { fs, other, raw });
  await shapes(t, { fs, other, raw });
  await company(t, { fs, other, raw });
  await fs.removeTree(context(), base, eight);
});

async function names(t: Test, { fs, raw }: Subject): Promise<void> {
  await t.test('names of any bytes', async (t) => {
    const tree = `${base}/names`;
    await raw.makeDirectory(tree);
    const odd = [
      Buffer.from([0xff, 0xfe, 0x80]),
      Buffer.from([0xc3]),
      Buffer.from(' leading and trailing '),
      Buffer.from('new\nline\ttab'),
      Buffer.from('Größe 大 🦑'),
      Buffer.from('-rf'),
      Buffer.from('..x'),
      Buffer.from('...'),
      Buffer.from('.hidden'),
      Buffer.from('x'.repeat(255)),
      Buffer.from('"\'\\$`*?[]{}'),
    ];
    for (const name of odd) {
      const inTree = (...parts: Buffer[]) => Buffer.concat([Buffer.from(tree), ...parts]);
      const directory = inTree(Buffer.from('/d'), name.subarray(0, 254));
      await raw.write(inTree(Buffer.from('/'), name), 'data');
      await raw.makeDirectory(directory);
      await raw.write(Buffer.concat([directory, Buffer.from('/'), name]), 'data');
    }
    const listed = await fs.list(context(), tree);
    t.equal(listed.length, 2 * (odd.length - 2), 'a list leaves out what is no UTF-8');
    t.equal(await fs.removeTree(context(), tree, eight), 3 * odd.length + 1);
    t.notOk(await raw.exists(tree));
  });
}

async function links(t: Test, { fs, raw }: Subject): Promise<void> {
  await t.test('links are removed and what they point to stays', async (t) => {
    const tree = `${base}/links`;
    const outside = `${base}/outside`;
    for (const path of [tree, outside, `${outside}/d`]) await raw.makeDirectory(path);
    await raw.write(`${outside}/d/file`, 'precious');
    await raw.symlink(outside, `${tree}/absolute`);
    await raw.symlink('../outside/d', `${tree}/relative`);
    await raw.symlink('../outside/d/file', `${tree}/to-file`);
    await raw.symlink('loop', `${tree}/loop`);
    await raw.symlink('nowhere', `${tree}/dangling`);
    await raw.link(`${outside}/d/file`, `${tree}/hard`);
    t.equal(await fs.removeTree(context(), tree, eight), 7);
    t.notOk(await raw.exists(tree));
    t.ok(await raw.exists(`${outside}/d/file`));
    t.match(await fs.status(context(), `${outside}/d/file`), { isDirectory: false });
  });

  await t.test('a symbolic link to a tree is removed, not the tree', async (t) => {
    await raw.symlink('outside', `${base}/link`);
    t.equal(await fs.removeTree(context(), `${base}/link`, eight), 1);
    t.ok(await raw.exists(`${base}/outside/d/file`));
  });

  await t.test('a directory that becomes a link while the tree is removed leads nowhere', async (t) => {
    const tree = `${base}/switched`;
    const victims = countedNames('victim-', 30);
    await raw.makeDirectory(tree);
    await raw.makeDirectory(`${base}/aside`);
    for (const name of victims) {
      await raw.makeDirectory(`${tree}/${name}`);
      await raw.write(`${tree}/${name}/file`, 'x');
    }
    let switched = 0;
    const pause = async () => {
      const name = victims[switched++];
      if (name === undefined || !(await raw.exists(`${tree}/${name}`))) return;
      await raw.rename(`${tree}/${name}`, `${base}/aside/${name}`);
      await raw.symlink(`${base}/outside/d`, `${tree}/${name}`);
    };
    await fs.removeTree(context(), tree, { concurrency: 1, pause });
    t.ok(switched > 3, `${switched} tries to switch`);
    t.notOk(await raw.exists(tree));
    t.ok(await raw.exists(`${base}/outside/d/file`));
  });
}

async function shapes(t: Test, { fs, raw }: Subject): Promise<void> {
  await t.test('500 directories deep', async (t) => {
    let path = `${base}/deep`;
    await raw.makeDirectory(path);
    for (let i = 0; i < 500; i++) {
      path += '/d';
      await raw.makeDirectory(path);
      if (i % 50 === 0) await raw.write(`${path}/file`, 'x');
    }
    t.equal(await fs.removeTree(context(), `${base}/deep`, eight), 511);
    t.notOk(await raw.exists(`${base}/deep`));
  });

  await t.test('10,000 files in a directory', async (t) => {
    const tree = `${base}/wide`;
    await raw.makeDirectory(tree);
    await eachConcurrently(countedNames('file-', 10_000), 16, async (name) =>
      raw.link(`${base}/outside/d/file`, `${tree}/${name}`),
    );
    const began = performance.now();
    t.equal(await fs.removeTree(context(), tree, { concurrency: 16 }), 10_001);
    const perSecond = 10_001 / ((performance.now() - began) / 1000);
    t.comment(`${perSecond.toFixed(0)} entries a second`);
    t.ok(perSecond > 500);
    t.notOk(await raw.exists(tree));
    t.ok(await raw.exists(`${base}/outside/d/file`));
  });

  await t.test('1,000 small directories, with data', async (t) => {
    const tree = `${base}/many`;
    await raw.makeDirectory(tree);
    await eachConcurrently(countedNames('d', 1_000), 16, async (name) => {
      await raw.makeDirectory(`${tree}/${name}`);
      await raw.write(`${tree}/${name}/file`, 'data');
    });
    const began = performance.now();
    t.equal(await fs.removeTree(context(), tree, { concurrency: 16 }), 2_001);
    t.comment(`${(2_001 / ((performance.now() - began) / 1000)).toFixed(0)} entries a second`);
  });
}

async function company(t: Test, { fs, other, raw }: Subject): Promise<void> {
  const tree = `${base}/shared`;
  const plant = async () => {
    await raw.makeDirectory(tree);
    for (const name of countedNames('d', 20)) {
      await raw.makeDirectory(`${tree}/${name}`);
      const files = countedNames('f', 50).map((file) => `${tree}/${name}/${file}`);
      await eachConcurrently(files, 16, async (file) => raw.write(file, ''));
    }
  };

  await t.test('two who remove the same tree share the work', async (t) => {
    await plant();
    const counts = await Promise.all([fs, other, fs].map(async (by) => by.removeTree(context(), tree, eight)));
    t.equal(
      counts.reduce((sum, count) => sum + count, 0),
      1_021,
      counts.join(' + '),
    );
    t.notOk(await raw.exists(tree));
  });

  await t.test('it ends early when its caller goes, and goes on the next time', async (t) => {
    await plant();
    const controller = new AbortController();
    let batches = 0;
    const pause = async () => {
      if (++batches === 8) controller.abort(new DriverError('CANCELLED', 'the caller has gone'));
      return Promise.resolve();
    };
    const removing = fs.removeTree({ ...context(), signal: controller.signal }, tree, { concurrency: 2, pause });
    t.match(await failureOf(removing), { code: 'CANCELLED' });
    t.ok(batches < 20, `${batches} batches`);
    t.ok((await fs.list(context(), tree)).length > 5);
    const left = await fs.removeTree(context(), tree, { concurrency: 1 });
    t.ok(left > 50 && left < 1_021, `${left} were left`);
    t.match(await failureOf(fs.removeTree({ ...context(), signal: controller.signal }, tree, eight)), {
      code: 'CANCELLED',
    });
  });

  await t.test('it pauses as often as its caller wants', async (t) => {
    await plant();
    let pauses = 0;
    const pause = async () => {
      pauses += 1;
      return Promise.resolve();
    };
    t.equal(await fs.removeTree(context(), tree, { concurrency: 4, pause }), 1_021);
    t.ok(pauses >= 21, `${pauses} pauses`);
  });
}
