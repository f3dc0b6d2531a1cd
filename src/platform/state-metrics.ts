import { Gauge, type Registry } from 'prom-client';

/** What a process knows of one cluster by what it has asked it. */
export interface ClusterContact {
  readonly cluster: string;
  /** Open connections, one for each user and key. */
  readonly connections: number;
  /** Which of its services have been asked, and whether the last call got an answer in time. */
  readonly answers: ReadonlyMap<ClusterService, boolean>;
}

export type ClusterService = 'monitors' | 'OSDs' | 'MDSs';

/** How many volumes of one backend a node has, by what serves them: a mapper or a mounter. */
export interface ServedVolumes {
  readonly backend: string;
  readonly kind: string;
  readonly volumes: number;
}

export interface StateSources {
  readonly contacts: () => readonly ClusterContact[];
  readonly configurationRefused: () => boolean;
  /** Absent in a process without the Node service. Takes tables of the kernel, no process and no cluster. */
  readonly served?: () => Promise<readonly ServedVolumes[]>;
}

/** Gauges of what is, read when they are asked for. */
export function stateMetrics(registry: Registry, sources: StateSources): void {
  gauge(registry, 'cuttle_ceph_connections', 'Open connections to Ceph by cluster', ['cluster'], (each) => {
    for (const { cluster, connections } of sources.contacts()) each({ cluster }, connections);
  });
  gauge(
    registry,
    'cuttle_ceph_answers',
    "Whether the last call to a cluster's service got an answer in time",
    ['cluster', 'service'],
    (each) => {
      for (const { cluster, answers } of sources.contacts())
        for (const [service, answered] of answers) each({ cluster, service }, answered ? 1 : 0);
    },
  );
  gauge(registry, 'cuttle_configuration_refused', 'Whether a changed configuration file is refused', [], (each) => {
    each({}, sources.configurationRefused() ? 1 : 0);
  });
  const { served } = sources;
  if (served === undefined) return;
  gauge(
    registry,
    'cuttle_node_volumes',
    'Volumes on this node by what serves them',
    ['backend', 'kind'],
    async (each) => {
      for (const { backend, kind, volumes } of await served()) each({ backend, kind }, volumes);
    },
  );
}

type Each = (labels: Record<string, string>, value: number) => void;

function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: string[],
  collect: (each: Each) => void | Promise<void>,
): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    async collect() {
      this.reset();
      await collect((labels, value) => {
        this.set(labels, value);
      });
    },
  });
}
