import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { repositoryRoot } from '../house/read-sources.js';
import { manifests, manifestsFile } from './manifests.js';
import { base, driverOf, find, objectsIn, tool } from './tools.js';

const overlay = join(repositoryRoot(), 'deploy/kubernetes/example');

async function kustomize(directory: string): Promise<string> {
  return (await execa(tool('kustomize'), ['build', directory], { timeout: 60_000 })).stdout;
}

t.test('the manifests in the repository are what the chart gives: else npm run test:deploy -- --write', async (t) => {
  t.equal(await readFile(manifestsFile, 'utf8'), await manifests());
});

t.test('the kustomize base has every object of the manifests, and its namespace', async (t) => {
  const names = (text: string) =>
    objectsIn(text)
      .map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`)
      .sort();
  const built = await kustomize(base);
  t.strictSame(names(built), [...names(await readFile(manifestsFile, 'utf8')), 'Namespace /cuttle'].sort());
});

t.test('the example puts its own clusters and image in the place of the base', async (t) => {
  const objects = objectsIn(await kustomize(overlay));
  const { data } = find(objects, 'ConfigMap', 'cuttle');
  t.match(data['controller.yaml'], '192.0.2.1');
  t.match(data['controller.yaml'], 'keyFile: /etc/cuttle/keys/default');
  t.notMatch(data['node.yaml'], 'keyFile');
  for (const [kind, name] of [
    ['Deployment', 'cuttle-controller'],
    ['DaemonSet', 'cuttle-node'],
  ] as const) {
    t.match(driverOf(find(objects, kind, name)).image, /^registry\.example\/storage\/cuttle:/);
  }
  const [holder] = find(objects, 'DaemonSet', 'cuttle-holder').spec.template.spec.containers;
  t.match(holder?.image, /^registry\.example\/storage\/cuttle:/);
});
