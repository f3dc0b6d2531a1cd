import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { cephfsMutableParameterNames } from '../../src/backend/cephfs/mutable-parameters.js';
import { cephfsParameterNames } from '../../src/backend/cephfs/parameter-reference.js';
import { parseParameters as parseCephfs } from '../../src/backend/cephfs/parameters.js';
import { parseLimits, rbdMutableParameterNames } from '../../src/backend/rbd/mutable-parameters.js';
import { rbdParameterNames } from '../../src/backend/rbd/parameter-reference.js';
import { nodeParameters, parseParameters } from '../../src/backend/rbd/parameters.js';
import { readClusterFile } from '../../src/config/cluster-file.js';
import { helpText } from '../../src/config/options.js';
import { readCredentials, readPassphrase } from '../../src/csi/validate/credentials.js';
import { parseVolumeId } from '../../src/domain/volume-id.js';
import { makeCephxKey } from '../domain/make-cephx-key.js';
import { withParameterTables } from '../../scripts/parameter-tables.js';
import { repositoryRoot } from '../house/read-sources.js';

const page = readFileSync(join(repositoryRoot(), 'docs/configuration.md'), 'utf8');

/** The first cells of the table below a heading, without what follows an option's name. */
function firstCells(heading: string): string[] {
  const section = page.split(/^## /m).find((text) => text.startsWith(heading)) ?? '';
  return [...section.matchAll(/^\| (`.*?`(?:, `.*?`)*) \|/gm)].map(([, cell = '']) => cell.replaceAll('`', ''));
}

/** The YAML example below a heading. */
function example(heading: string): unknown {
  const section = page.split(/^## /m).find((text) => text.startsWith(heading)) ?? '';
  return parse(/```yaml\n(.*?)```/s.exec(section)?.[1] ?? '');
}

t.test('docs/configuration.md has every option of --help with its values, and no other', (t) => {
  const ofHelp = [...helpText().matchAll(/^ {2}(--\S+ \S+)$/gm)].map(([, option = '']) => option);
  t.ok(ofHelp.length >= 10);
  const documented = firstCells('Options of').map((cell) => cell.replaceAll('\\|', '|'));
  t.strictSame(documented.sort(), ofHelp.sort());
  t.end();
});

t.test('each default that --help gives stands in the row of its option', (t) => {
  for (const [, option = '', fallback = ''] of helpText().matchAll(/^ {2}(--\S+) \S+\n.*\(default: ([^ ()]+)\)$/gm)) {
    const row = page.split('\n').find((line) => line.startsWith(`| \`${option} `));
    t.match(row?.split('|').slice(-3, -2)[0], fallback, option);
  }
  t.end();
});

t.test('docs/configuration.md has every parameter of a StorageClass, and no other', (t) => {
  t.strictSame(firstCells('StorageClass parameters for RBD').sort(), [...rbdParameterNames].sort());
  t.strictSame(firstCells('StorageClass parameters for CephFS').sort(), [...cephfsParameterNames].sort());
  t.end();
});

t.test("the tables of parameters are the driver's own: else npm run docs", (t) => {
  t.equal(page, withParameterTables(page));
  const stale = page.replace('| `pool` | `rbd` |', '| `pool` | `rdb` |');
  t.not(stale, page);
  t.equal(withParameterTables(stale), page);
  t.end();
});

t.test('docs/configuration.md has every mutable parameter, and no other', (t) => {
  const documented = firstCells('Mutable parameters').flatMap((cell) => cell.split(', '));
  t.strictSame(documented.sort(), [...rbdMutableParameterNames, ...cephfsMutableParameterNames].sort());
  const { parameters } = example('Mutable parameters') as { parameters: Record<string, string> };
  t.ok(parseLimits(parameters).size > 0);
  t.end();
});

t.test('the documented defaults of the parameters are what an empty StorageClass gives', (t) => {
  const documented = Object.fromEntries(
    [...page.matchAll(/^\| `(\w+)` \| `(.*?)` \|/gm)].map(([, name = '', value = '']) => [name, value]),
  );
  const { pool, imageFeatures, volumeNamePrefix } = documented;
  if (pool === undefined || imageFeatures === undefined || volumeNamePrefix === undefined) throw new Error('missing');
  t.strictSame(parseParameters({ pool, imageFeatures, volumeNamePrefix }), parseParameters({}));
  const { mode, namespaceIsolated } = documented;
  if (mode === undefined || namespaceIsolated === undefined) throw new Error('missing');
  t.strictSame(parseCephfs({ mode, namespaceIsolated, volumeNamePrefix }), parseCephfs({}));
  t.end();
});

t.test('docs/configuration.md has every field of the configuration file: its example uses each', async (t) => {
  const directory = t.testdir({ key: makeCephxKey() });
  const whole = JSON.parse(JSON.stringify(example('The configuration file'))) as {
    clusters: [Record<string, unknown>];
  };
  const [cluster] = whole.clusters;
  const fields = Object.entries(cluster).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.keys(value).map((inner) => `${name}.${inner}`)
      : [name],
  );
  // Two fields that exclude or repeat what the example has.
  t.strictSame(firstCells('The configuration file').sort(), [...fields, 'cephConf', 'keyring'].sort());
  cluster.keyFile = join(directory, 'key');
  const path = join(directory, 'config.yaml');
  await writeFile(path, JSON.stringify(whole));
  t.match(await readClusterFile(path), {
    clusters: [{ id: 'default', user: 'kube', rbdNamespace: 'team-a' }],
    nodes: ['node-1', 'node-2'],
  });
  await writeFile(path, JSON.stringify({ clusters: [{ nothing: true }] }));
  await t.rejects(readClusterFile(path), { message: /nothing/ });
});

t.test('no field of the schema is missing on the page', (t) => {
  const source = readFileSync(join(repositoryRoot(), 'src/config/cluster-file.ts'), 'utf8');
  const schema = /const clusterSchema = ([\s\S]*?)\n\n/.exec(source)?.[1] ?? '';
  const names = [...schema.matchAll(/\b([a-z]\w+): (?:z|objectName|absolutePath|timeoutSeconds|cloneDepth)\b/gi)];
  t.ok(names.length >= 11, `${names.length} fields found`);
  const documented = firstCells('The configuration file').flatMap((cell) => cell.split('.'));
  for (const [, name = ''] of names) t.ok(documented.includes(name), name);
  t.end();
});

t.test('the StorageClass example is one that the driver takes', (t) => {
  const { parameters } = example('StorageClass parameters') as { parameters: Record<string, string> };
  t.match(parseParameters(parameters), { clusterId: 'default', pool: 'ssd' });
  const cephfs = example('StorageClass parameters for CephFS') as { parameters: Record<string, string> };
  t.match(parseCephfs(cephfs.parameters), { clusterId: 'default', fsName: 'cephfs' });
  t.end();
});

t.test("the Secret's keys on the page are those that the driver reads", (t) => {
  const cells = firstCells('Keys of the Secret');
  t.equal(cells.pop(), 'encryptionPassphrase');
  t.ok(readPassphrase(new Map([['encryptionPassphrase', 'x']])));
  const rows = cells.map((cell) => cell.split(', '));
  t.equal(rows.length, 3);
  for (const names of rows) {
    const secrets = new Map(names.map((name) => [name, name.endsWith('ID') ? 'kube' : makeCephxKey()]));
    t.ok(readCredentials(secrets), names.join());
  }
  t.end();
});

t.test('the PersistentVolume example has an id that the driver reads, and attributes that it knows', (t) => {
  const { spec } = example('Static volumes') as {
    spec: { csi: { volumeHandle: string; volumeAttributes: Record<string, string> } };
  };
  t.match(parseVolumeId(spec.csi.volumeHandle), { clusterId: 'default', pool: 'rbd', image: 'old-database-image' });
  for (const name of Object.keys(spec.csi.volumeAttributes)) t.ok((nodeParameters as readonly string[]).includes(name));
  t.match(page, 'rbd:<clusterID>:<pool>:<namespace>:<image>');
  t.end();
});
