import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parseMutableParameters } from '../../src/backend/cephfs/mutable-parameters.js';
import { parseParameters as parseCephfs } from '../../src/backend/cephfs/parameters.js';
import { parseLimits } from '../../src/backend/rbd/mutable-parameters.js';
import { parseParameters as parseRbd } from '../../src/backend/rbd/parameters.js';
import { readClusterFile } from '../../src/config/cluster-file.js';
import { parseCommand } from '../../src/config/options.js';
import { makeCephxKey } from '../domain/make-cephx-key.js';
import { base, driverOf, find, type KubernetesObject, render, valuesOf } from './tools.js';

/** What the chart gives to the driver, read by the driver's own code. */
const renderings = {
  least: await render({ values: [valuesOf('first')] }),
  everything: await render({ values: [valuesOf('everything')] }),
  manifests: await render({ values: [join(base, 'values.yaml')] }),
};

function optionsOf(object: KubernetesObject) {
  const args = driverOf(object).args.map((argument) => argument.replace('$(NODE_NAME)', 'node-1'));
  const command = parseCommand(args, {});
  if (command.name !== 'serve') throw new Error(`the driver would run ${command.name}`);
  return command.options;
}

const withoutHolder = await render({ values: [valuesOf('first')], set: ['holder.enabled=false'] });

t.test('the holder shares its socket, and the places of mounts, with the node, and nobody restarts it', (t) => {
  for (const objects of Object.values(renderings)) {
    const node = optionsOf(find(objects, 'DaemonSet', 'cuttle-node'));
    const holder = find(objects, 'DaemonSet', 'cuttle-holder');
    t.match(holder.spec, { updateStrategy: { type: 'OnDelete' }, template: { spec: { hostPID: true } } });
    const [container, ...others] = holder.spec.template.spec.containers;
    t.same(others, []);
    if (container === undefined) throw new Error('the holder has no container');
    const command = parseCommand(container.args, {});
    t.match(command, { name: 'hold', options: { endpoint: node.holder } });
    t.equal(node.holder, `unix://${node.runDir}/holder.sock`);
    t.notOk(['livenessProbe', 'readinessProbe', 'startupProbe'].some((probe) => probe in container));
    const shared = (of: KubernetesObject) =>
      (of.spec.template.spec.containers[0]?.volumeMounts ?? [])
        .filter((mount) => 'mountPropagation' in mount)
        .map(({ mountPath }) => mountPath);
    t.same(shared(holder), shared(find(objects, 'DaemonSet', 'cuttle-node')));
    t.ok(shared(holder).includes(node.runDir));
  }
  t.equal(optionsOf(find(withoutHolder, 'DaemonSet', 'cuttle-node')).holder, undefined);
  t.notOk(withoutHolder.some(({ metadata }) => metadata.name === 'cuttle-holder'));
  t.end();
});

for (const [name, objects] of Object.entries(renderings)) {
  t.test(`${name}: the driver takes the arguments of both roles`, (t) => {
    const driverName = objects.find(({ kind }) => kind === 'CSIDriver')?.metadata.name;
    const controller = optionsOf(find(objects, 'Deployment', 'cuttle-controller'));
    t.match(controller, { role: 'controller', driverName, endpoint: 'unix:///csi/csi.sock' });
    const node = optionsOf(find(objects, 'DaemonSet', 'cuttle-node'));
    t.match(node, { role: 'node', driverName, nodeId: 'node-1' });
    t.ok(node.runDir.endsWith(`/${String(driverName)}`));
    t.end();
  });

  t.test(`${name}: the driver reads the configuration of both roles, and finds it where it is mounted`, async (t) => {
    const directory = t.testdir({ key: makeCephxKey() });
    const { data } = find(objects, 'ConfigMap', 'cuttle');
    for (const [kind, role] of [
      ['Deployment', 'controller'],
      ['DaemonSet', 'node'],
    ] as const) {
      const object = find(objects, kind, `cuttle-${role}`);
      const mounts = driverOf(object).volumeMounts.map(({ mountPath }) => mountPath);
      t.equal(optionsOf(object).configFile, `/etc/cuttle/config/${role}.yaml`);
      t.ok(mounts.includes('/etc/cuttle/config'));
      const text = data[`${role}.yaml`] ?? '';
      const keyFiles = [...text.matchAll(/keyFile: (\S+)/g)].map(([, file = '']) => file);
      for (const file of keyFiles) t.ok(file.startsWith('/etc/cuttle/keys/') && mounts.includes('/etc/cuttle/keys'));
      if (role === 'node') t.strictSame(keyFiles, [], 'no node has the keys of the clusters');
      const path = join(directory, `${role}.yaml`);
      await writeFile(path, text.replaceAll(/keyFile: \S+/g, `keyFile: ${join(directory, 'key')}`));
      t.ok((await readClusterFile(path)).clusters.length > 0);
    }
  });

  t.test(`${name}: the driver takes the parameters of every class`, (t) => {
    for (const { kind, metadata, parameters } of objects) {
      if (kind === 'StorageClass') {
        const parse = parameters.backend === 'cephfs' ? parseCephfs : parseRbd;
        t.doesNotThrow(() => parse(parameters), metadata.name);
      }
      if (kind === 'VolumeAttributesClass') {
        const parse = 'qosIopsLimit' in parameters ? parseLimits : parseMutableParameters;
        t.doesNotThrow(() => parse(parameters), metadata.name);
      }
    }
    t.end();
  });
}

t.test('keys are in Secrets and nowhere else', (t) => {
  const key = 'AQAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAA==';
  const holders = renderings.everything.filter((object) => JSON.stringify(object).includes(key));
  t.strictSame(
    holders.map(({ kind }) => kind),
    ['Secret', 'Secret'],
  );
  t.end();
});

t.test('an argument that the driver does not know would be found', (t) => {
  const object = find(renderings.least, 'DaemonSet', 'cuttle-node');
  const [driver] = object.spec.template.spec.containers;
  if (driver === undefined) throw new Error('no container');
  t.throws(() => parseCommand([...driver.args, '--colour=red'], {}), { message: /colour/ });
  t.end();
});
