import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { errorCodes } from '../../src/domain/errors.js';
import { repositoryRoot } from '../house/read-sources.js';

const rows = readFileSync(join(repositoryRoot(), 'docs/errors.md'), 'utf8')
  .split('\n')
  .flatMap((line) => (/^\| `([A-Z_]+)` \|(.*)\|(.*)\|$/.exec(line) === null ? [] : [line.split('|')]));

t.test('docs/errors.md lists exactly the codes that the driver has, each once', (t) => {
  const documented = rows.map(([, code]) => code?.trim().replaceAll('`', ''));
  t.strictSame(documented.sort(), [...errorCodes].sort());
  t.end();
});

t.test('each code of docs/errors.md says when it comes and what to do', (t) => {
  for (const [, code, when = '', advice = ''] of rows) {
    t.ok(when.trim().length > 20, `${code ?? ''}: when`);
    t.ok(advice.trim().length > 20, `${code ?? ''}: what to do`);
  }
  t.end();
});
