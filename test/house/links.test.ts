import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import t from 'tap';
import { repositoryRoot } from './read-sources.js';

const root = repositoryRoot();
const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].concat(
  readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
);

/** As the usual renderers make it of a heading. */
function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

/** Links of a page that lead nowhere. */
function brokenLinks(page: string, text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? join(root, page) : resolve(root, dirname(page), path);
    if (!existsSync(file)) return [`${page}: ${target} (${relative(root, file)} is not there)`];
    if (anchor === undefined) return [];
    const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      anchorOf(heading),
    );
    return headings.includes(anchor) ? [] : [`${page}: ${target} (no such heading)`];
  });
}

t.test('no link in the docs leads nowhere', (t) => {
  t.ok(pages.length > 25);
  t.strictSame(
    pages.flatMap((page) => brokenLinks(page, readFileSync(join(root, page), 'utf8'))),
    [],
  );
  t.equal(brokenLinks('README.md', '[a](docs/none.md) [b](docs/errors.md#none) [c](#running-it)').length, 2);
  t.end();
});

t.test('every page of docs/ for readers is in the README', (t) => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  for (const page of pages.filter((name) => /^docs\/[^/]+$/.test(name))) t.match(readme, `(${page})`);
  t.end();
});
