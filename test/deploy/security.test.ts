import t from 'tap';
import { find, type KubernetesObject, render, valuesOf } from './tools.js';

const least = await render({ values: [valuesOf('first')] });
const confined = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

t.test("the controller's pods are an ordinary user's, without any capability, with a root that is read-only", (t) => {
  const { spec } = find(least, 'Deployment', 'cuttle-controller').spec.template;
  t.match(spec.securityContext, { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } });
  t.equal(spec.containers.length, 6);
  for (const { name, securityContext } of spec.containers) t.match(securityContext, confined, name);
  t.strictSame(
    spec.volumes.filter(({ hostPath }) => hostPath !== undefined),
    [],
  );
  t.end();
});

t.test("of the node's containers the driver alone is privileged, and none has a token of the API", (t) => {
  const { spec } = find(least, 'DaemonSet', 'cuttle-node').spec.template;
  t.equal(spec.automountServiceAccountToken, false);
  for (const { name, securityContext } of spec.containers) {
    if (name === 'driver') t.match(securityContext, { privileged: true, readOnlyRootFilesystem: true });
    else t.match(securityContext, confined, name);
  }
  t.end();
});

/** `verb resource` for all that an account may do, with where it may: '*' = everywhere. */
function rightsOf(objects: readonly KubernetesObject[], account: string): Map<string, string> {
  const rights = new Map<string, string>();
  for (const binding of objects.filter(({ kind }) => kind.endsWith('RoleBinding'))) {
    if (!binding.subjects.some(({ name }) => name === account)) continue;
    const role = objects.find(
      ({ kind, metadata }) =>
        kind === binding.roleRef.kind &&
        metadata.name === binding.roleRef.name &&
        metadata.namespace === binding.metadata.namespace,
    );
    if (role === undefined) throw new Error(`${binding.metadata.name} binds a role that is not there`);
    for (const { resources, verbs } of role.rules)
      for (const resource of resources)
        for (const verb of verbs) {
          const right = `${verb} ${resource}`;
          rights.set(right, [rights.get(right), binding.metadata.namespace ?? '*'].filter(Boolean).join(' '));
        }
  }
  return rights;
}

t.test('Secrets can be read by name, in the namespaces that are named, and not be listed', async (t) => {
  const rights = rightsOf(least, 'cuttle-controller');
  t.equal(rights.get('get secrets'), 'cuttle');
  const more = await render({ values: [valuesOf('everything')], namespace: 'own' });
  t.equal(rightsOf(more, 'cuttle-controller').get('get secrets'), 'own team-a team-b');
  const all = await render({ values: [valuesOf('first')], set: ['rbac.secretNamespaces={*}'] });
  t.equal(rightsOf(all, 'cuttle-controller').get('get secrets'), '*');
  for (const objects of [least, more, all]) {
    const ofSecrets = [...rightsOf(objects, 'cuttle-controller').keys()].filter((right) => right.endsWith(' secrets'));
    t.strictSame(ofSecrets, ['get secrets']);
  }
});

t.test('no role has a wildcard, and none can change pods, roles, nodes or Secrets', async (t) => {
  const objects = await render({
    values: [valuesOf('everything')],
    set: ['topology.labels={topology.kubernetes.io/zone}'],
  });
  const rights = [...rightsOf(objects, 'cuttle-controller').keys(), ...rightsOf(objects, 'cuttle-node').keys()];
  t.ok(rights.length > 40);
  const bad =
    /\*|^(create|update|patch|delete|escalate|bind|impersonate) (pods|nodes|roles|clusterroles|secrets|serviceaccounts)/;
  t.strictSame(
    rights.filter((right) => bad.test(right)),
    [],
  );
});

t.test("the node's account may nothing, and with topology read Nodes", async (t) => {
  t.equal(rightsOf(least, 'cuttle-node').size, 0);
  const zones = await render({ values: [valuesOf('first')], set: ['topology.labels={topology.kubernetes.io/zone}'] });
  t.strictSame([...rightsOf(zones, 'cuttle-node')], [['get nodes', '*']]);
  const pods = find(zones, 'DaemonSet', 'cuttle-node').spec.template.spec;
  t.equal(pods.automountServiceAccountToken, true);
  t.ok(pods.containers[0]?.args.includes('--topology-labels=topology.kubernetes.io/zone'));
});

t.test('without the snapshotter none of its rights are given', async (t) => {
  const objects = await render({ values: [valuesOf('first')], set: ['sidecars.snapshotter.enabled=false'] });
  const names = find(objects, 'Deployment', 'cuttle-controller').spec.template.spec.containers.map(({ name }) => name);
  t.notOk(names.includes('snapshotter'));
  t.notOk([...rightsOf(objects, 'cuttle-controller').keys()].some((right) => right.includes('contents/status')));
});
