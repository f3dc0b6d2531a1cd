import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Api } from './cluster/api.js';
import { at, type Kind, type KubeObject } from './cluster/kinds.js';
import { until } from './cluster/until.js';

const crdsMs = 60_000;

/** The CRDs of snapshots, as their module has them. */
export async function createSnapshotCrds(api: Api, directory: string, signal: AbortSignal): Promise<void> {
  for (const file of await readdir(directory)) {
    const crd = parse(await readFile(join(directory, file), 'utf8')) as KubeObject;
    await api.create(crd);
    const isServed = async (): Promise<true | undefined> => {
      const conditions = at(await api.get('CustomResourceDefinition', crd.metadata.name), 'status', 'conditions');
      const all = Array.isArray(conditions) ? (conditions as unknown[]) : [];
      const isTrue = all.some((each) => at(each, 'type') === 'Established' && at(each, 'status') === 'True');
      return isTrue ? true : undefined;
    };
    await until(`CRD ${crd.metadata.name}`, isServed, { withinMs: crdsMs, signal });
  }
}

export function head(apiVersion: string, kind: Kind, name: string): KubeObject {
  return { apiVersion, kind, metadata: { name } };
}
