import { join } from 'node:path';
import { execa } from 'execa';
import { parseAllDocuments } from 'yaml';
import { repositoryRoot } from '../house/read-sources.js';

const timeoutMs = 60_000;

export const chart = join(repositoryRoot(), 'deploy/charts/cuttle');
export const base = join(repositoryRoot(), 'deploy/kubernetes/base');
export const valuesOf = (name: string) => join(repositoryRoot(), 'test/deploy/values', `${name}.yaml`);

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly ports?: readonly { readonly containerPort: number }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface PodSpec {
  readonly serviceAccountName: string;
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly containers: readonly Container[];
  readonly volumes: readonly {
    readonly name: string;
    readonly hostPath?: { readonly path: string };
    readonly secret?: { readonly secretName: string };
  }[];
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** A Kubernetes object, in the parts that are looked at; which of them there are depends on its kind. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: { readonly template: { readonly spec: PodSpec } };
  readonly data: Readonly<Record<string, string>>;
  readonly provisioner: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly rules: readonly Rule[];
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects: readonly { readonly name: string; readonly namespace: string }[];
}

export interface Rendering {
  readonly values: readonly string[];
  readonly release?: string;
  readonly namespace?: string;
  /** Further values, as `--set` takes them. */
  readonly set?: readonly string[];
}

/** The Kubernetes that CUTTLE_KUBERNETES_API describes; a helm that is built from its module believes in 1.20. */
export const kubeVersion = ['--kube-version', /v([0-9.]+)\.json$/.exec(tool('kubernetes_api'))?.[1] ?? ''];

/** What scripts/run has built (scripts/lib/setup-deploy-tools). */
export function tool(name: 'helm' | 'kubeconform' | 'kustomize' | 'kubernetes_api'): string {
  const path = process.env[`CUTTLE_${name.toUpperCase()}`];
  if (path === undefined || path === '')
    throw new Error(`CUTTLE_${name.toUpperCase()} is not set: run this by npm run test:deploy`);
  return path;
}

/** helm without any of this machine's settings, and without a cluster. */
export async function helm(args: readonly string[]): Promise<{ exitCode: number | undefined; text: string }> {
  const end = await execa(tool('helm'), args, {
    env: { HELM_CONFIG_HOME: '/nonexistent', HELM_CACHE_HOME: '/nonexistent', HELM_DATA_HOME: '/nonexistent' },
    reject: false,
    all: true,
    timeout: timeoutMs,
  });
  return { exitCode: end.exitCode, text: end.exitCode === 0 ? end.stdout : end.all };
}

/** @throws what helm says when it refuses. */
export async function renderText(rendering: Rendering): Promise<string> {
  const { release = 'cuttle', namespace = 'cuttle', values, set = [] } = rendering;
  const { exitCode, text } = await helm([
    ...['template', release, chart, '--namespace', namespace, ...kubeVersion],
    ...values.flatMap((path) => ['--values', path]),
    ...set.flatMap((one) => ['--set', one]),
  ]);
  if (exitCode === 0) return text;
  throw new Error(text);
}

export async function render(rendering: Rendering): Promise<KubernetesObject[]> {
  return objectsIn(await renderText(rendering));
}

export function objectsIn(text: string): KubernetesObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const object = document.toJS() as KubernetesObject | null;
    return object === null ? [] : [object];
  });
}

/** The one object of this kind and name. @throws when there is none. */
export function find(objects: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found !== undefined) return found;
  throw new Error(`there is no ${kind} ${name}: ${objects.map((o) => `${o.kind} ${o.metadata.name}`).join(', ')}`);
}

/** The driver's container of a Deployment or DaemonSet. @throws when there is none. */
export function driverOf(object: KubernetesObject): Container {
  const found = object.spec.template.spec.containers.find(({ name }) => name === 'driver');
  if (found !== undefined) return found;
  throw new Error(`${object.kind} ${object.metadata.name} has no container "driver"`);
}
