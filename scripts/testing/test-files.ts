import { readFile, readdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

export interface TestFile {
  /** The source, as people know it: test/domain/volume-id.test.ts. */
  readonly source: string;
  /** What is run: dist/test/domain/volume-id.test.js. */
  readonly compiled: string;
  readonly needsCluster: boolean;
  /** Needs helm and its like. */
  readonly ofDeploy: boolean;
}

const CLUSTER_HARNESS = join('dist', 'test', 'harness', 'cluster.js');

/** Every *.test.ts below test/ and packages/NAME/test/, by the sources: what dist still holds of a removed test is not run. */
export async function findTestFiles(): Promise<TestFile[]> {
  const packages = await readdir('packages');
  const roots = [
    { sources: 'test', compiled: join('dist', 'test') },
    ...packages.map((name) => ({
      sources: join('packages', name, 'test'),
      compiled: join('packages', name, 'dist', 'test'),
    })),
  ];
  const files: TestFile[] = [];
  for (const root of roots) {
    const names = await readdir(root.sources, { recursive: true });
    for (const name of names.filter((each) => each.endsWith('.test.ts')).sort()) {
      const compiled = join(root.compiled, name.replace(/\.ts$/, '.js'));
      const needsCluster = await reaches(compiled, CLUSTER_HARNESS, new Set());
      files.push({ source: join(root.sources, name), compiled, needsCluster, ofDeploy: name.startsWith('deploy/') });
    }
  }
  return files;
}

/** Whether importing `file` imports `goal`, directly or through others. */
async function reaches(file: string, goal: string, seen: Set<string>): Promise<boolean> {
  if (file === goal) return true;
  if (seen.has(file)) return false;
  seen.add(file);
  const text = await readFile(file, 'utf8').catch(() => ''); // what is not there fails when it is run
  for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
    if (fileName.startsWith('.') && (await reaches(relative('.', join(dirname(file), fileName)), goal, seen)))
      return true;
  }
  return false;
}
