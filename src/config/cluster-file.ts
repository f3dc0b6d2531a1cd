import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import type { CephfsSettings, ClusterDefinition } from '../ceph/clusters.js';
import type { CephTimeouts } from '../ceph/client.js';
import { cephxKeyObjection } from '../domain/cephx-key.js';
import { DriverError } from '../domain/errors.js';
import { keysOf, topologyKeyObjection, topologyKeysObjection, topologyValueObjection } from '../domain/topology.js';
import { isDirectoryPath, isFileName, isObjectName } from '../domain/volume-id.js';
import { Secret } from '../platform/secret.js';

/** Short enough that a monitor that is down is reported within the shortest deadline that sidecars use (10 s). */
const defaultTimeouts: CephTimeouts = { connectMs: 8_000, monMs: 8_000, osdMs: 30_000 };

/** Ceph's own names: of the first file system, and where its volumes module keeps subvolumes. */
const defaultCephfsSettings: CephfsSettings = {
  fsName: 'cephfs',
  groupPath: '/volumes/csi',
  kernelMountOptions: '',
  fuseMountOptions: '',
};

/** Ceph-csi's, which its users know as --rbdsoftmaxclonedepth and --rbdhardmaxclonedepth. */
const defaultCloneDepth = { soft: 4, hard: 8 };

const objectName = (what: string) =>
  z.string().refine(isObjectName, `is no ${what}: it can't be empty or hold / @ or control characters`);
const absolutePath = z.string().startsWith('/', 'must be an absolute path');
const directoryPath = z.string().refine(isDirectoryPath, 'must be an absolute path without . or .. or a / at its end');
const fileName = z
  .string()
  .refine(isFileName, "is no directory's name: it can't be empty, . or .., or hold / or control characters");
/** drivers/block/rbd.c, RBD_MAX_PARENT_CHAIN_LEN. */
const cloneDepth = z.number().int().max(16, 'is more than the kernel client takes, which is 16');
const timeoutSeconds = z.number().int().min(1).max(600).optional();

const segments = z.record(z.string(), z.string()).superRefine((place, issues) => {
  const entries = Object.entries(place);
  const add = (path: string[], message: string) => {
    issues.addIssue({ code: 'custom', path, message });
  };
  if (entries.length === 0) add([], 'names no topology key');
  for (const [key, value] of entries) {
    const ofKey = topologyKeyObjection(key);
    if (ofKey !== undefined) add([key], `the key ${ofKey}`);
    const ofValue = topologyValueObjection(value);
    if (ofValue !== undefined) add([key], `"${value}" ${ofValue}`);
  }
});

const clusterSchema = z
  .strictObject({
    id: objectName('cluster id').refine((id) => Buffer.byteLength(id) <= 36, 'has more than 36 bytes'),
    monitors: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).optional(),
    cephConf: absolutePath.optional(),
    user: z
      .string()
      .regex(/^(?!client\.)[\x21-\x7e]+$/, 'is the cephx name without "client."')
      .default('admin'),
    keyFile: absolutePath.optional(),
    keyring: absolutePath.optional(),
    rbd: z
      .strictObject({
        namespace: objectName('RADOS namespace').optional(),
        mapOptions: z.string().default(''),
        unmapOptions: z.string().default(''),
        cloneDepthSoftLimit: cloneDepth.min(0).default(defaultCloneDepth.soft),
        cloneDepthHardLimit: cloneDepth.min(1).default(defaultCloneDepth.hard),
      })
      .refine(
        (rbd) => rbd.cloneDepthSoftLimit <= rbd.cloneDepthHardLimit,
        'cloneDepthSoftLimit is above cloneDepthHardLimit',
      )
      .prefault({}),
    cephfs: z
      .strictObject({
        fsName: objectName('file system name').default(defaultCephfsSettings.fsName),
        root: directoryPath.default('/volumes'),
        group: fileName.default('csi'),
        kernelMountOptions: z.string().default(''),
        fuseMountOptions: z.string().default(''),
      })
      .prefault({}),
    topology: z.array(segments).default([]),
    timeouts: z
      .strictObject({ connectSeconds: timeoutSeconds, monSeconds: timeoutSeconds, osdSeconds: timeoutSeconds })
      .prefault({}),
  })
  .refine(
    (cluster) => cluster.monitors !== undefined || cluster.cephConf !== undefined,
    'needs `monitors` or `cephConf`',
  )
  .refine(
    (cluster) => cluster.keyFile === undefined || cluster.keyring === undefined,
    'has both `keyFile` and `keyring`: choose one',
  );

const nodeName = z.string().refine((name) => {
  const bytes = Buffer.byteLength(name);
  return bytes > 0 && bytes <= 256;
}, 'is no node id: it has 1 to 256 bytes');

const fileSchema = z.strictObject({
  clusters: z.array(clusterSchema).min(1, 'lists no cluster'),
  nodes: z.array(nodeName).optional(),
});

/** What a configuration file says. */
export interface Configuration {
  readonly clusters: readonly ClusterDefinition[];
  /** The node ids that there are; undefined when the file doesn't say. */
  readonly nodes: readonly string[] | undefined;
}

/**
 * Reads a --config file (docs/configuration.md), keys included.
 * @throws DriverError INVALID_ARGUMENT naming the file and the field.
 */
export async function readClusterFile(path: string): Promise<Configuration> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw invalid(path, `can't be read (${errorText(error)})`);
  });
  const result = fileSchema.safeParse(parseYaml(path, text));
  if (!result.success) {
    const sentences = result.error.issues.map(
      (issue) => `${issue.path.map(String).join('.') || 'the file'}: ${issue.message}`,
    );
    throw invalid(path, sentences.join('; '));
  }
  const ids = result.data.clusters.map((cluster) => cluster.id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) throw invalid(path, `cluster id "${twice}" occurs twice`);
  const objection = topologyKeysObjection(keysOf(result.data.clusters.flatMap((cluster) => cluster.topology)));
  if (objection !== undefined) throw invalid(path, `clusters: ${objection}`);
  const clusters = await Promise.all(result.data.clusters.map(async (cluster) => definition(path, cluster)));
  return { clusters, nodes: result.data.nodes };
}

/** Without a file: the host's ceph.conf, as every Ceph program finds it (CEPH_CONF, else /etc/ceph/ceph.conf). */
export function hostCluster(environment: NodeJS.ProcessEnv): ClusterDefinition {
  return {
    id: 'default',
    cephConf: environment.CEPH_CONF ?? '/etc/ceph/ceph.conf',
    user: 'admin',
    rbdNamespace: '',
    cloneDepth: defaultCloneDepth,
    mapOptions: '',
    unmapOptions: '',
    cephfs: defaultCephfsSettings,
    timeouts: defaultTimeouts,
    topology: [],
  };
}

async function definition(path: string, cluster: z.infer<typeof clusterSchema>): Promise<ClusterDefinition> {
  const { id, user, keyFile, monitors, cephConf, keyring, timeouts } = cluster;
  const key = keyFile === undefined ? undefined : await readKey(path, id, keyFile);
  return {
    id,
    user,
    ...(monitors === undefined ? {} : { monitors: Array.isArray(monitors) ? monitors.join(',') : monitors }),
    ...(cephConf === undefined ? {} : { cephConf }),
    ...(key === undefined ? {} : { credentials: { user, key } }),
    ...(keyring === undefined ? {} : { keyring }),
    rbdNamespace: cluster.rbd.namespace ?? '',
    cloneDepth: { soft: cluster.rbd.cloneDepthSoftLimit, hard: cluster.rbd.cloneDepthHardLimit },
    mapOptions: cluster.rbd.mapOptions,
    unmapOptions: cluster.rbd.unmapOptions,
    cephfs: {
      fsName: cluster.cephfs.fsName,
      groupPath: `${cluster.cephfs.root === '/' ? '' : cluster.cephfs.root}/${cluster.cephfs.group}`,
      kernelMountOptions: cluster.cephfs.kernelMountOptions,
      fuseMountOptions: cluster.cephfs.fuseMountOptions,
    },
    timeouts: {
      connectMs: milliseconds(timeouts.connectSeconds) ?? defaultTimeouts.connectMs,
      monMs: milliseconds(timeouts.monSeconds) ?? defaultTimeouts.monMs,
      osdMs: milliseconds(timeouts.osdSeconds) ?? defaultTimeouts.osdMs,
    },
    topology: cluster.topology,
  };
}

async function readKey(path: string, id: string, keyFile: string): Promise<Secret> {
  const key = await readFile(keyFile, 'utf8').catch((error: unknown) => {
    throw invalid(path, `keyFile of cluster "${id}" can't be read (${errorText(error)})`);
  });
  const objection = cephxKeyObjection(key.trim());
  if (objection !== undefined) throw invalid(path, `the key in keyFile of cluster "${id}" ${objection}`);
  return new Secret(key.trim());
}

function parseYaml(path: string, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw invalid(path, `is no YAML: ${errorText(error)}`);
  }
}

function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function invalid(path: string, what: string): DriverError {
  return new DriverError('INVALID_ARGUMENT', `configuration ${path}: ${what}`);
}
