import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readSources, repositoryRoot } from './read-sources.js';
import { sourceViolations } from './source-rules.js';

t.test('every source keeps the habits of this project', async (t) => {
  const folders = ['src', 'test', 'scripts', 'bench', 'packages'].filter((dir) =>
    existsSync(join(repositoryRoot(), dir)),
  );
  const sources = await readSources(folders);
  t.ok(sources.size > 20, 'the sources are found');
  t.strictSame(
    [...sources].flatMap(([path, text]) => sourceViolations(path, text)),
    [],
  );
});

const refused: [string, string, string, RegExp][] = [
  ['a default export', 'src/a.ts', 'export default 1;', /no default exports/],
  ['a default function', 'src/a.ts', 'export default function a() {}', /no default exports/],
  ['a default class', 'src/a.ts', 'export default class A {}', /no default exports/],
  ['a default by another way', 'src/a.ts', 'const a = 1;\nexport { a as default };', /src\/a\.ts:2: no default/],
  ['a cast to any', 'test/a.test.ts', 'const a = b as any;', /no `as any`/],
  ['a cast to any, the old way', 'src/a.ts', 'const a = <any>b;', /no `as any`/],
  ['a silenced compiler', 'src/a.ts', '// @ts-ignore\nf();', /no @ts-ignore/],
  ['a silenced linter without a reason', 'src/a.ts', '// eslint-disable-next-line no-console\nf();', /says why/],
  ['a silenced linter at the end of a line', 'src/a.ts', 'f(); // eslint-disable-line no-console --', /says why/],
  [
    'a silenced linter in a block comment',
    'src/a.ts',
    'f({\n  /* eslint-disable */\n  a: 1 });',
    /src\/a\.ts:2: .*says why/,
  ],
  ['a long file', 'src/a.ts', 'f();\n'.repeat(301), /301 lines/],
  ['utils', 'src/platform/utils.ts', '', /does not say what is in it/],
  ['helpers of a test', 'test/csi/helper.test.ts', '', /does not say what is in it/],
  ['camelCase', 'src/node/stageVolume.ts', '', /kebab-case/],
  ['an underscore', 'src/node/stage_volume.ts', '', /kebab-case/],
];

for (const [what, path, text, message] of refused) {
  t.test(`the checker refuses ${what}`, (t) => {
    const found = sourceViolations(path, text);
    t.equal(found.length, 1);
    t.match(found[0], message);
    t.end();
  });
}

t.test('the checker lets pass what is fine', (t) => {
  const fine = [
    'export const a = 1;',
    '// eslint-disable-next-line no-console -- a command speaks on the console\nf();',
    `const a = '// eslint-disable-line'; const b = \`// @ts-ignore \${a} // eslint-disable\`;`,
    '// @ts-expect-error the types of this library forget null\nf();',
    'const a = b as unknown;',
    'f();\n'.repeat(300),
  ];
  for (const text of fine) t.strictSame(sourceViolations('src/node/stage-volume.ts', text), [], text.slice(0, 60));
  t.strictSame(sourceViolations('test/a/long.test.ts', 'f();\n'.repeat(500)), []);
  t.strictSame(sourceViolations('test/a/mapper.contract.ts', ''), []);
  t.end();
});
