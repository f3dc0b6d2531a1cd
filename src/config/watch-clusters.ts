import { createHash } from 'node:crypto';
import type { ClusterDefinition, Clusters } from '../ceph/clusters.js';
import type { Logger } from '../platform/logger.js';
import { readClusterFile } from './cluster-file.js';

/** Kubernetes renews a mounted ConfigMap by swapping symbolic links: reading again is surer than watching inodes. */
const pollMs = 2_000;

export interface ClusterWatch {
  /** Reads now instead of at the next turn. */
  reload(): Promise<void>;
  stop(): void;
}

/** Keeps the clusters as the file and its key files say; a file that became invalid changes nothing and is reported once. */
export function watchClusters(
  path: string,
  first: readonly ClusterDefinition[],
  clusters: Clusters,
  log: Logger,
): ClusterWatch {
  let current = fingerprint(first);
  let complaint = '';
  const reload = async () => {
    try {
      const next = await readClusterFile(path);
      complaint = '';
      if (fingerprint(next) === current) return;
      current = fingerprint(next);
      clusters.replace(next);
      log.info({ clusters: next.map((cluster) => cluster.id) }, 'the configuration has changed and is in use');
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
    stop: () => {
      clearInterval(timer);
    },
  };
}

/** Tells a changed key, too, without keeping it in a string of its own. */
function fingerprint(definitions: readonly ClusterDefinition[]): string {
  const hash = createHash('sha256');
  for (const definition of definitions)
    hash.update(JSON.stringify(definition)).update(definition.credentials?.key.reveal() ?? '');
  return hash.digest('hex');
}
