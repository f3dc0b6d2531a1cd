import type { TestCluster } from '../harness/cluster.js';

/** Every port on 127.0.0.1 at which a daemon of the cluster listens for clients. */
export async function listeningPorts(cluster: TestCluster): Promise<number[]> {
  const answers = await Promise.all([
    cluster.ceph(['mon', 'dump', '-f', 'json']),
    cluster.ceph(['osd', 'dump', '-f', 'json']),
    cluster.ceph(['mgr', 'dump', '-f', 'json']),
    cluster.ceph(['fs', 'dump', '-f', 'json']),
  ]);
  // An address vector's entries, e.g. {"type":"v2","addr":"127.0.0.1:6800","nonce":1}; clients' own have port 0.
  const found = answers.flatMap((answer) => [...answer.matchAll(/"addr":"127\.0\.0\.1:([0-9]+)"/g)]);
  return [...new Set(found.map((match) => Number(match[1])))].filter((port) => port > 0);
}
