import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { repositoryRoot } from './read-sources.js';

type Dependencies = Record<string, string>;

interface Manifest {
  name?: string;
  dependencies?: Dependencies;
  devDependencies?: Dependencies;
  optionalDependencies?: Dependencies;
  peerDependencies?: Dependencies;
}

interface LockedPackage extends Manifest {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
}

const root = repositoryRoot();
const readJson = async (path: string): Promise<unknown> => JSON.parse(await readFile(join(root, path), 'utf8'));
const lock = (await readJson('package-lock.json')) as { packages: Record<string, LockedPackage> };
const installed = Object.entries(lock.packages).filter(([path]) => path.includes('node_modules/'));

/** Where it would be fetched from, when that is a host: in a workspace it is a folder. */
function hostsIn(packages: [string, LockedPackage][]): string[] {
  return packages.flatMap(([path, { resolved }]) => (resolved?.includes('://') ? [`${path}: ${resolved}`] : []));
}

function inexact(manifest: Manifest): string[] {
  const { dependencies, devDependencies, optionalDependencies, peerDependencies } = manifest;
  const all = Object.entries({ ...peerDependencies, ...optionalDependencies, ...devDependencies, ...dependencies });
  return all
    .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[0-9a-z.-]+)?$/i.test(version))
    .map(([name, version]) => `${name}@${version}`);
}

t.test('the lock file names no registry', async (t) => {
  t.ok(installed.length > 100, 'the packages are found');
  t.strictSame(hostsIn(installed), []);
  t.strictSame(
    hostsIn([['node_modules/a', { resolved: 'https://registry.example/a.tgz' }]]).length,
    1,
    'the check can fail',
  );
  t.notMatch(await readFile(join(root, 'package-lock.json'), 'utf8'), /registry\.|\/-\/[^"]*\.tgz/);
});

t.test('every package in the lock file is fixed by version and checksum', (t) => {
  for (const [path, locked] of installed) {
    if (locked.link !== true) t.ok(locked.version !== undefined && locked.integrity !== undefined, path);
  }
  t.end();
});

t.test(
  'npm ci has all it asks for: every dependency of every locked package is locked too, whatever the platform',
  (t) => {
    const missing = Object.entries(lock.packages).flatMap(([path, locked]) =>
      Object.keys({ ...locked.dependencies, ...locked.optionalDependencies })
        .filter((name) => !isReachable(path, name))
        .map((name) => `${name}, for ${path === '' ? 'the driver' : path}`),
    );
    t.strictSame(missing, []);
    t.end();
  },
);

/** As Node looks for it: in the node_modules of the package itself, then of each one around it. */
function isReachable(from: string, name: string): boolean {
  for (let dir = from; ; dir = dir.slice(0, Math.max(0, dir.lastIndexOf('/')))) {
    if (lock.packages[join(dir, 'node_modules', name)] !== undefined) return true;
    if (dir === '') return false;
  }
}

t.test('the versions in every package.json are exact', async (t) => {
  const workspaces = (await readdir(join(root, 'packages'))).map((name) => join('packages', name, 'package.json'));
  for (const path of ['package.json', ...workspaces]) {
    t.strictSame(inexact((await readJson(path)) as Manifest), [], path);
  }
  t.strictSame(
    inexact({ dependencies: { a: '^1.0.0', b: '1.0.0', c: '*', d: 'latest', e: '1.x' } }).length,
    4,
    'the check can fail',
  );
});
