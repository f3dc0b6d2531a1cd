import { cp, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { chart, helm, kubeVersion, objectsIn, renderText, valuesOf } from './tools.js';

/** What helm shows after an installation: only a cluster makes it do so, so that a copy of the chart renders it as an object. */
async function notes(t: Test, values: string): Promise<string> {
  const copy = join(t.testdir(), 'chart');
  await cp(chart, copy, { recursive: true });
  await rename(join(copy, 'templates/NOTES.txt'), join(copy, 'NOTES.txt'));
  await writeFile(
    join(copy, 'templates/notes.yaml'),
    'kind: Notes\ndata: {{ tpl (.Files.Get "NOTES.txt") . | toJson }}\n',
  );
  const { exitCode, text } = await helm([
    ...['template', 'cuttle', copy, '--namespace', 'storage', ...kubeVersion],
    ...['--values', valuesOf(values), '--show-only', 'templates/notes.yaml'],
  ]);
  t.equal(exitCode, 0, text);
  const [object] = objectsIn(text) as unknown as { data: string }[];
  return object?.data ?? '';
}

t.test('what is said after an installation names objects that are there, and a claim to try', async (t) => {
  const text = await notes(t, 'everything');
  const names = objectsIn(await renderText({ values: [valuesOf('everything')] })).map(
    ({ kind, metadata }) => `${kind.toLowerCase()}/${metadata.name}`,
  );
  const named = [...text.matchAll(/\b(?:deployment|daemonset)\/[a-z-]+/g)].map(([name]) => name);
  t.ok(named.length >= 3);
  for (const name of named) t.ok(names.includes(name), name);
  t.match(text, '--namespace storage');
  const claim = /apply -f - <<'END'\n([^]*?)\n {2}END/.exec(text)?.[1] ?? '';
  t.match(objectsIn(claim.replaceAll(/^ {2}/gm, '')), [
    { kind: 'PersistentVolumeClaim', spec: { storageClassName: 'ssd', accessModes: ['ReadWriteOnce'] } },
  ]);
});

t.test('without a StorageClass it says what to do', async (t) => {
  const text = await notes(t, 'first');
  t.match(text, 'There is no StorageClass yet');
  t.notMatch(text, 'PersistentVolumeClaim');
});
