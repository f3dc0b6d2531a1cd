import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parseParameters as parseCephfs } from '../../src/backend/cephfs/parameters.js';
import { parseParameters as parseRbd } from '../../src/backend/rbd/parameters.js';
import { repositoryRoot } from '../house/read-sources.js';
import { find, render } from './tools.js';

const page = await readFile(join(repositoryRoot(), 'docs/install.md'), 'utf8');

t.test('the values of docs/install.md are a whole installation, with the Secrets that the page makes', async (t) => {
  const text = /```yaml\n(# my-values\.yaml\n.*?)```/s.exec(page)?.[1];
  if (text === undefined) throw new Error('the page has no my-values.yaml');
  const path = join(t.testdir(), 'my-values.yaml');
  await writeFile(path, text);
  const objects = await render({ values: [path] });
  const classes = objects.filter(({ kind }) => kind === 'StorageClass');
  t.strictSame(
    classes.map(({ metadata }) => metadata.name),
    ['cuttle-rbd', 'cuttle-cephfs'],
  );
  const made = [...page.matchAll(/create secret generic (\S+)/g)].map(([, name]) => name);
  for (const { parameters } of classes) {
    const parse = parameters.backend === 'cephfs' ? parseCephfs : parseRbd;
    t.match(parse(parameters), { clusterId: 'default' });
    for (const [name, value] of Object.entries(parameters))
      if (name.endsWith('-secret-name')) t.ok(made.includes(value), `${name}: ${value}`);
  }
  const keys = find(objects, 'Deployment', 'cuttle-controller').spec.template.spec.volumes.find(
    ({ name }) => name === 'keys',
  );
  t.ok(made.includes(keys?.secret?.secretName));
  // The entry of the Secret is the file that the configuration names.
  const entry = /create secret generic cuttle-keys --from-literal=(\w+)=/.exec(page)?.[1] ?? '';
  t.match(find(objects, 'ConfigMap', 'cuttle').data['controller.yaml'], `keyFile: /etc/cuttle/keys/${entry}\n`);
});
