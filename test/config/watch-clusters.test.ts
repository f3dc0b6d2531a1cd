import { rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Clusters } from '../../src/ceph/clusters.js';
import { readClusterFile } from '../../src/config/cluster-file.js';
import { type Configured, watchClusters } from '../../src/config/watch-clusters.js';
import { makeCephxKey } from '../domain/make-cephx-key.js';
import { testContext } from '../platform/test-context.js';

async function watched(t: Test, text: (keyFile: string) => string) {
  const directory = t.testdir({ key: `${makeCephxKey(1)}\n` });
  const path = join(directory, 'config.yaml');
  const keyFile = join(directory, 'key');
  await writeFile(path, text(keyFile));
  const first = await readClusterFile(path);
  const clusters = new Clusters(first.clusters);
  const configured: Configured = { clusters, nodes: first.nodes };
  const { log, lines } = testContext();
  const watch = watchClusters(path, first, configured, log);
  t.teardown(() => {
    watch.stop();
  });
  return { path, keyFile, clusters, configured, lines, watch, directory };
}

const oneCluster = () => 'clusters: [{ id: a, monitors: "10.0.0.1" }]';

t.test('a changed file is used, and said once', async (t) => {
  const { path, clusters, lines, watch } = await watched(t, oneCluster);
  await watch.reload();
  t.strictSame(lines, [], 'nothing has changed, nothing is said');
  await writeFile(path, 'clusters: [{ id: a, monitors: "10.0.0.9" }, { id: b, monitors: "10.1.0.1" }]');
  await watch.reload();
  await watch.reload();
  t.equal(clusters.find('a')?.monitors, '10.0.0.9');
  t.equal(clusters.find('b')?.monitors, '10.1.0.1');
  t.equal(lines.length, 1);
  t.match(lines[0], { level: 30, clusters: ['a', 'b'] });
});

t.test('a changed list of nodes is used, and one that goes is gone', async (t) => {
  const { path, configured, watch } = await watched(t, oneCluster);
  t.equal(configured.nodes, undefined);
  await writeFile(path, `${oneCluster()}\nnodes: [a, b]`);
  await watch.reload();
  t.strictSame(configured.nodes, ['a', 'b']);
  await writeFile(path, oneCluster());
  await watch.reload();
  t.equal(configured.nodes, undefined);
});

t.test('a cluster that is no longer in the file is no longer known', async (t) => {
  const { path, clusters, watch } = await watched(t, oneCluster);
  await writeFile(path, 'clusters: [{ id: b, monitors: "10.1.0.1" }]');
  await watch.reload();
  t.equal(clusters.find('a'), undefined);
});

t.test('a changed key alone is a change, and is in no log line', async (t) => {
  const { keyFile, clusters, lines, watch } = await watched(
    t,
    (key) => `clusters: [{ id: a, monitors: "10.0.0.1", keyFile: ${key} }]`,
  );
  await writeFile(keyFile, makeCephxKey(2));
  await watch.reload();
  t.equal(clusters.find('a')?.credentials?.key.reveal(), makeCephxKey(2));
  t.equal(lines.length, 1);
  t.notOk(JSON.stringify(lines).includes(makeCephxKey(2)));
});

t.test('a broken file keeps the old clusters and is reported once, each new fault anew', async (t) => {
  const { path, clusters, lines, watch } = await watched(t, oneCluster);
  await writeFile(path, 'clusters: [{ id: a, monitors: "10.0.0.9", color: red }]');
  for (let i = 0; i < 3; i++) await watch.reload();
  t.equal(clusters.find('a')?.monitors, '10.0.0.1');
  t.match(watch.refusal, 'color');
  t.equal(lines.length, 1);
  t.match(lines[0], { level: 50, reason: /color/, msg: /refused, the earlier one stays/ });
  await rm(path);
  await watch.reload();
  t.equal(lines.length, 2);
  t.match(lines[1], { reason: /ENOENT/ });
  await writeFile(path, 'clusters: [{ id: a, monitors: "10.0.0.7" }]');
  await watch.reload();
  t.equal(clusters.find('a')?.monitors, '10.0.0.7', 'a repaired file is used');
  t.equal(watch.refusal, undefined);
  await rm(path);
  await watch.reload();
  t.equal(lines.length, 4, 'a fault that comes back after a repair is reported again');
});

t.test('a file that is swapped by a symbolic link, as Kubernetes does it, is picked up by itself', async (t) => {
  const { path, clusters, directory } = await watched(t, oneCluster);
  await writeFile(join(directory, 'new.yaml'), 'clusters: [{ id: swapped, monitors: "10.0.0.2" }]');
  await symlink('new.yaml', join(directory, 'link'));
  await rename(join(directory, 'link'), path);
  for (let i = 0; i < 100 && clusters.find('swapped') === undefined; i++) await sleep(50);
  t.ok(clusters.find('swapped'));
});
