import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { writeApiSchemas } from './api-schemas.js';
import { base, objectsIn, type Rendering, renderText, tool, valuesOf } from './tools.js';

t.setTimeout(120_000);

/** Their definitions belong to others (the snapshot-controller, the Prometheus operator): no part of Kubernetes' API description. */
const foreign = ['VolumeSnapshotClass', 'PodMonitor', 'PrometheusRule'];

const renderings: Readonly<Record<string, Rendering>> = {
  'the least': { values: [valuesOf('first')] },
  everything: { values: [valuesOf('everything')], release: 'storage', namespace: 'kube-storage' },
  'all Secrets, topology, no snapshotter': {
    values: [valuesOf('first')],
    set: [
      'rbac.secretNamespaces={*}',
      'topology.labels={topology.kubernetes.io/zone}',
      'sidecars.snapshotter.enabled=false',
    ],
  },
  'the manifests': { values: [join(base, 'values.yaml')] },
};

async function conforms(text: string, schemas: string) {
  const end = await execa(
    tool('kubeconform'),
    ['-strict', '-summary', '-output', 'json', '-skip', foreign.join(','), '-schema-location', schemas],
    { input: text, reject: false, timeout: 60_000 },
  );
  return JSON.parse(end.stdout) as {
    resources: readonly unknown[];
    summary: { valid: number; invalid: number; errors: number; skipped: number };
  };
}

t.test("every object is one that Kubernetes' API knows, field by field", async (t) => {
  const texts = new Map<string, string>();
  for (const [name, rendering] of Object.entries(renderings)) texts.set(name, await renderText(rendering));
  const kinds = new Set([...texts.values()].flatMap(objectsIn).map(({ apiVersion, kind }) => `${apiVersion}/${kind}`));
  const schemas = await writeApiSchemas(tool('kubernetes_api'), t.testdir(), kinds);
  for (const [name, text] of texts) {
    const objects = objectsIn(text);
    const own = objects.filter(({ kind }) => !foreign.includes(kind));
    const { resources, summary } = await conforms(text, schemas);
    t.strictSame(resources, [], name);
    t.match(summary, { valid: own.length, invalid: 0, errors: 0, skipped: objects.length - own.length }, name);
  }
  const wrong = (texts.get('the least') ?? '').replace('replicas: 2', 'replicas: two\n  replica: 2');
  const found = await conforms(wrong, schemas);
  t.equal(found.summary.invalid, 1, 'the check can fail');
  t.match(JSON.stringify(found.resources), 'replica');
});
