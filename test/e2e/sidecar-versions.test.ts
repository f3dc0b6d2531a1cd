import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { textAt } from './cluster/kinds.js';

const modules = {
  provisioner: 'github.com/kubernetes-csi/external-provisioner/v6',
  attacher: 'github.com/kubernetes-csi/external-attacher/v4',
  resizer: 'github.com/kubernetes-csi/external-resizer/v2',
  snapshotter: 'github.com/kubernetes-csi/external-snapshotter/v8',
} as const;

await t.test('the sidecars of the end-to-end test are of the versions that the chart has', async (t) => {
  const values: unknown = parse(await readFile(join('deploy', 'charts', 'cuttle', 'values.yaml'), 'utf8'));
  const pins = await readFile(join('test', 'e2e', 'tools', 'sidecars', 'go.mod'), 'utf8');
  for (const [sidecar, module] of Object.entries(modules)) {
    const ofChart = textAt(values, 'sidecars', sidecar, 'image').split(':').at(-1) ?? '';
    t.match(pins, `\t${module} ${ofChart}\n`, sidecar);
  }
});
