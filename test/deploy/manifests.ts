import { join } from 'node:path';
import { base, renderText } from './tools.js';

export const manifestsFile = join(base, 'cuttle.yaml');

const head = `# Made of the chart in deploy/charts/cuttle with values.yaml beside this file: npm run test:deploy -- --write
# It needs the Secrets cuttle-keys, cuttle-provisioner and cuttle-node, your clusters and your image: docs/install.md.
`;

/** What deploy/kubernetes/base/cuttle.yaml has to be. */
export async function manifests(): Promise<string> {
  const text = await renderText({ values: [join(base, 'values.yaml')] });
  // Nobody but Helm itself may say so: it refuses to take over what it has not made.
  return head + text.replaceAll(/^ *(app\.kubernetes\.io\/managed-by|helm\.sh\/chart): .*\n/gm, '');
}
