import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parse, parseDocument, isMap, isScalar, type YAMLMap } from 'yaml';
import { version } from '../../src/platform/version.js';
import { chart, find, helm, kubeVersion, type KubernetesObject, render, renderText, valuesOf } from './tools.js';

t.test('helm lint finds nothing to say against the chart', async (t) => {
  for (const values of ['first', 'everything']) {
    const { exitCode, text } = await helm(['lint', '--strict', ...kubeVersion, chart, '--values', valuesOf(values)]);
    t.equal(exitCode, 0, text);
    t.notMatch(text, /WARNING|ERROR/);
  }
});

t.test("the chart's version of the driver is this one", async (t) => {
  const { appVersion } = parse(await readFile(join(chart, 'Chart.yaml'), 'utf8')) as { appVersion: string };
  t.equal(appVersion, version);
});

/** Paths of keys without a comment of their own or of one above. */
function uncommented(map: YAMLMap, path: string, inherited: boolean): string[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new Error(`a key below ${path} is no plain one`);
    // The parser gives the comment before the first key of a map to the map.
    const isExplained =
      inherited || (key.commentBefore ?? (index === 0 ? map.commentBefore : undefined) ?? '').trim() !== '';
    const here = `${path}${String(key.value)}`;
    if (isMap(value) && value.items.length > 0) return uncommented(value, `${here}.`, isExplained && isLeaf(value));
    return isExplained ? [] : [here];
  });
}

/** A map whose values are of one thing, as of resources or ports: one comment above it is enough. */
function isLeaf(map: YAMLMap): boolean {
  return map.items.every(({ value }) => !isMap(value) || isLeaf(value)) && map.items.length <= 3;
}

t.test('every value is explained where it stands', async (t) => {
  const document = parseDocument(await readFile(join(chart, 'values.yaml'), 'utf8'));
  if (!isMap(document.contents)) throw new Error('values.yaml is no map');
  const obvious = [
    // The names of the sidecars say it, and their resources are containers'.
    ...['provisioner', 'attacher', 'resizer', 'snapshotter', 'registrar', 'livenessProbe'].flatMap((name) => [
      `sidecars.${name}.image`,
      `sidecars.${name}.resources`,
      `sidecars.${name}.enabled`,
    ]),
    // Those of a pod, by the names that Kubernetes gives them.
    ...['controller', 'node'].flatMap((part) =>
      [
        'priorityClassName',
        'nodeSelector',
        'tolerations',
        'podAnnotations',
        'podLabels',
        'terminationGracePeriodSeconds',
      ].map((name) => `${part}.${name}`),
    ),
    'node.resources.requests.cpu',
    'node.resources.requests.memory',
    'image.pullPolicy',
    'controller.replicas',
    'podDisruptionBudget.enabled',
    'holder.enabled',
    'holder.podAnnotations',
    'holder.podLabels',
  ];
  t.strictSame(
    uncommented(document.contents, '', false).filter((path) => !obvious.includes(path)),
    [],
  );
});

const refusals: readonly (readonly [what: string, set: readonly string[], says: RegExp])[] = [
  ['a value that is none', ['controler.replicas=3'], /controler/],
  ['a driver name that ends in a digit', ['driverName=csi.cuttle.2'], /driverName/],
  ['a log level that is none', ['logLevel=loud'], /logLevel/],
  ['a controller that is root', ['controller.runAsUser=0'], /runAsUser/],
  ['a relative directory', ['kubeletDir=var/lib/kubelet'], /kubeletDir/],
  ['a keyFile, which the chart sets', ['clusters[0].id=a', 'clusters[0].keyFile=/x'], /clusters/],
  ['a key of a cluster that is not there', ['clusterKeys.other=AQ=='], /clusterKeys names "other", which is no id/],
  ['keys given twice', ['clusterKeys.default=AQ==', 'clusterKeysSecret=x'], /choose one/],
  ['no cluster', ['clusters=null'], /clusters is empty/],
  ['a backend that is none', ['backends={nfs}'], /backends/],
];
for (const [what, set, says] of refusals)
  t.test(`${what} is refused by name`, async (t) => {
    await t.rejects(renderText({ values: [valuesOf('first')], set }), { message: says });
  });

t.test('two installations under two names share no object, socket, directory or port', async (t) => {
  const first = await render({ values: [valuesOf('first')], release: 'cuttle', namespace: 'cuttle' });
  const second = await render({ values: [valuesOf('second')], release: 'cuttle-second', namespace: 'cuttle' });
  const names = (objects: readonly KubernetesObject[]) =>
    objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  t.strictSame(
    names(first).filter((name) => names(second).includes(name)),
    [],
  );
  const claims = (objects: readonly KubernetesObject[], release: string) => {
    const { spec } = find(objects, 'DaemonSet', `${release}-node`).spec.template;
    const own = ['plugin', 'run'];
    return [
      ...spec.containers.flatMap(({ ports = [] }) => ports.map(({ containerPort }) => String(containerPort))),
      ...spec.volumes.flatMap(({ name, hostPath }) => (own.includes(name) ? [hostPath?.path ?? name] : [])),
    ];
  };
  const [ofFirst, ofSecond] = [claims(first, 'cuttle'), claims(second, 'cuttle-second')];
  t.equal(ofFirst.length, 4);
  t.strictSame(
    ofFirst.filter((one) => ofSecond.includes(one)),
    [],
  );
});
