import { createHash } from 'node:crypto';
import type { Clusters } from '../ceph/clusters.js';
import type { Logger } from '../platform/logger.js';
import { type Configuration, readClusterFile } from './cluster-file.js';

/** Kubernetes renews a mounted ConfigMap by swapping symbolic links: reading again is surer than watching inodes. */
const pollMs = 2_000;

export interface ClusterWatch {
  /** Reads now instead of at the next turn. */
  reload(): Promise<void>;
  /** Why the file as it is now is not in use; undefined when it is. */
  readonly refusal: string | undefined;
  stop(): void;
}

/** What follows the file. */
export interface Configured {
  readonly clusters: Clusters;
  nodes: readonly string[] | undefined;
}

/** Keeps clusters and nodes as the file and its key files say; a file that became invalid changes nothing and is reported once. */
export function watchClusters(path: string, first: Configuration, configured: Configured, log: Logger): ClusterWatch {
  let current = fingerprint(first);
  let complaint = '';
  const reload = async () => {
    try {
      const next = await readClusterFile(path);
      complaint = '';
      if (fingerprint(next) === current) return;
      current = fingerprint(next);
      configured.clusters.replace(next.clusters);
      configured.nodes = next.nodes;
      log.info({ clusters: next.clusters.map((cluster) => cluster.id) }, 'the configuration has changed and is in use');
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== complaint)
        log.error({ reason: message }, 'the changed configuration is refused, the earlier one stays in use');
      complaint = message;
    }
  };
  const timer = setInterval(() => void reload(), pollMs);
  timer.unref();
  return {
    reload,
    get refusal() {
      return complaint === '' ? undefined : complaint;
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}

/** Tells a changed key, too, without keeping it in a string of its own. */
function fingerprint({ clusters, nodes }: Configuration): string {
  const hash = createHash('sha256').update(JSON.stringify(nodes ?? null));
  for (const definition of clusters)
    hash.update(JSON.stringify(definition)).update(definition.credentials?.key.reveal() ?? '');
  return hash.digest('hex');
}
