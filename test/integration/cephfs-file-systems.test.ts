import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { startCluster, type TestCluster } from '../harness/cluster.js';
import { clusterYaml } from '../harness/driver.js';
import { asDirectory, asShared, openGroup, pathOf } from './group.js';
import { HealthRpc } from './health-rpc.js';
import { eventually } from './images.js';
import { refusal } from './outcome.js';
import { Rpc } from './rpc.js';
import { secondDriver } from './site.js';

t.setTimeout(120_000);

// A file system is added here: to a cluster of its own.
const cluster = await startCluster();
const { site, group } = await openGroup(t, { cluster });

t.test('two file systems in one cluster: each volume is in the one that was asked for', async (t) => {
  await secondFileSystem(t, cluster, 'fs2');
  const life = site.life(t);
  const [one, two] = [
    await life.create({ ...asDirectory, name: 'same name' }),
    await life.create({ ...asDirectory, name: 'same name', parameters: { backend: 'cephfs', fsName: 'fs2' } }),
  ];
  t.equal(two.id, one.id.replace(':cephfs:/', ':fs2:/'), 'the same path, in another file system');
  t.same(await group.names(), [pathOf(one.id).split('/').at(-1)]);
  t.same((await life.rpc.list()).ids, [one.id, two.id]);
  const page = await life.rpc.list(1);
  t.same(page.ids, [one.id]);
  t.same((await life.rpc.list(1, page.next)).ids, [two.id], 'a page ends between them');
  for (const { id } of [one, two]) {
    const paths = await life.attach(id, asShared);
    await writeFile(join(paths.targetPath, 'which'), id);
    await life.detach(id, paths);
  }
  t.equal(await group.directories.read(`${pathOf(one.id)}/which`), one.id);
  t.ok((await life.rpc.capacity({ backend: 'cephfs', fsName: 'fs2' })) > 0n);
  const foreign = await refusal(
    life.rpc.create('x', { ...asDirectory, parameters: { backend: 'cephfs', fsName: 'fs2', pool: 'cephfs_data' } }),
  );
  t.equal(foreign.code, 'INVALID_ARGUMENT');
  t.match(foreign.message, 'fs2_data');
  const missing = await refusal(
    life.rpc.create('x', { ...asDirectory, parameters: { backend: 'cephfs', fsName: 'fs3' } }),
  );
  t.match(missing.message, /"fs3".*which has "cephfs", "fs2"/);
  await life.delete(two.id);
  t.same((await life.rpc.list()).ids, [one.id]);
  t.equal(await group.directories.read(`${pathOf(one.id)}/which`), one.id, "the other one's data is untouched");
});

t.test('a cluster without any file system is told so, and lists and deletes nothing', async (t) => {
  const bare = await startCluster({ fs: false });
  t.teardown(async () => bare.stop());
  const driver = await secondDriver(t, site, { config: clusterYaml(bare) });
  const rpc = new Rpc(() => driver);
  const { code, message } = await refusal(rpc.create('nowhere', asDirectory));
  t.equal(code, 'INVALID_ARGUMENT', message);
  t.match(message, /file system "cephfs" does not exist in cluster "default".*ceph fs volume create cephfs/);
  t.same((await rpc.list()).ids, []);
  t.equal(await rpc.capacity({ backend: 'cephfs' }), 0n);
  t.ok((await rpc.capacity()) > 0n, 'images have room');
  await rpc.delete(group.directories.id(`${group.path}/csi-vol-x`));
});

t.test('volumes of a file system that no MDS serves are INACCESSIBLE, which is said at once', async (t) => {
  for (const pool of ['idle_metadata', 'idle_data']) await cluster.ceph(['osd', 'pool', 'create', pool, '8']);
  await cluster.ceph(['fs', 'flag', 'set', 'enable_multiple', 'true', '--yes-i-really-mean-it']);
  await cluster.ceph(['fs', 'new', 'idle', 'idle_metadata', 'idle_data']);
  const health = new HealthRpc(() => site.driver, 5_000);
  t.match(await health.volume('cephfs:default:idle:/volumes/csi/csi-vol-x'), [
    {
      status: 'INACCESSIBLE',
      reason: 'NoActiveMds',
      message: /file system "idle" .*no active MDS.*ceph fs status idle/,
    },
  ]);
  const { code } = await refusal(health.volume('cephfs:default:other:/volumes/csi/csi-vol-x'));
  t.equal(code, 'NOT_FOUND', 'a file system that is not there has no volumes');
  t.ok((await health.storage()).some(({ reason }) => reason === 'NoActiveMds'));
});

/** With an MDS that ends with the test. */
async function secondFileSystem(t: Test, on: TestCluster, name: string): Promise<void> {
  const { confPath } = on;
  const run = async (...words: string[]) => on.ceph(words);
  await run('fs', 'flag', 'set', 'enable_multiple', 'true', '--yes-i-really-mean-it');
  for (const pool of [`${name}_metadata`, `${name}_data`]) await run('osd', 'pool', 'create', pool, '8');
  await run('fs', 'new', name, `${name}_metadata`, `${name}_data`);
  const directory = join(dirname(confPath), 'mds-b');
  await mkdir(directory);
  const caps = ['mon', 'allow profile mds', 'osd', 'allow rwx', 'mds', 'allow *'];
  await writeFile(join(directory, 'keyring'), `${await run('auth', 'get-or-create', 'mds.b', ...caps)}\n`);
  const options = {
    '--keyring': join(directory, 'keyring'),
    '--log-file': join(directory, 'log'),
    '--admin-socket': join(directory, 'asok'),
    '--pid-file': join(directory, 'pid'),
  };
  const mds = spawn('ceph-mds', ['-c', confPath, '-i', 'b', '-f', ...Object.entries(options).flat()], {
    stdio: 'ignore',
  });
  t.teardown(async () => {
    mds.kill('SIGKILL');
    await once(mds, 'exit');
  });
  const isActive = async () => /"state":\s*"up:active"/.test(await run('fs', 'get', name, '--format', 'json'));
  if (!(await eventually(isActive, 30_000))) throw new Error(`no MDS serves ${name}`);
}
