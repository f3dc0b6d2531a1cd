import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The part of Kubernetes' swagger.json that is looked at. */
interface ApiDescription {
  readonly definitions: Readonly<Record<string, Definition>>;
}

interface Definition {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly 'x-kubernetes-group-version-kind'?: readonly { group: string; version: string; kind: string }[];
  readonly 'x-kubernetes-int-or-string'?: boolean;
}

/**
 * Writes one JSON schema for each kind that is asked for, where kubeconform looks for it, strict: a field that the API does not know is an
 * error. @param kinds e.g. `apps/v1/Deployment`, `v1/Secret`. @returns kubeconform's --schema-location.
 */
export async function writeApiSchemas(
  swaggerFile: string,
  directory: string,
  kinds: ReadonlySet<string>,
): Promise<string> {
  const { definitions } = JSON.parse(await readFile(swaggerFile, 'utf8')) as ApiDescription;
  await mkdir(directory, { recursive: true });
  for (const [name, definition] of Object.entries(definitions)) {
    for (const { group, version, kind } of definition['x-kubernetes-group-version-kind'] ?? []) {
      const apiVersion = group === '' ? version : `${group}/${version}`;
      if (!kinds.has(`${apiVersion}/${kind}`)) continue;
      const schema = { ...strict(definition), definitions: needed(definitions, name) };
      await writeFile(join(directory, `${kind.toLowerCase()}${suffixOf(apiVersion)}.json`), JSON.stringify(schema));
    }
  }
  return `${directory}/{{ .ResourceKind }}{{ .KindSuffix }}.json`;
}

/** kubeconform's KindSuffix: the group's first part and the version. */
function suffixOf(apiVersion: string): string {
  const [group = '', version] = apiVersion.split('/');
  return ['', group.split('.')[0], ...(version === undefined ? [] : [version])].join('-').toLowerCase();
}

/** Everything that a definition refers to, directly or through others. */
function needed(all: ApiDescription['definitions'], from: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const waiting = references(all[from]);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const definition = all[name];
    if (name in found || definition === undefined) continue;
    found[name] = strict(definition);
    waiting.push(...references(definition));
  }
  return found;
}

function references(definition: unknown): string[] {
  return [...JSON.stringify(definition).matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)].map(([, name = '']) => name);
}

/** The API's description says `string` of what may be a number too, and nothing of fields that it doesn't know. */
function strict(definition: Definition): Record<string, unknown> {
  if (definition['x-kubernetes-int-or-string'] === true || isIntOrString(definition))
    return { type: ['string', 'integer'] };
  return definition.properties === undefined ? { ...definition } : { ...definition, additionalProperties: false };
}

function isIntOrString(definition: Definition): boolean {
  return (definition as { format?: string }).format === 'int-or-string';
}
