import type { ClusterContact, ClusterService } from '../platform/state-metrics.js';
import type { ClusterGate } from './cluster-gate.js';

/** The gates to the services of one cluster. */
export interface ClusterGates {
  readonly clusterId: string;
  readonly monitors: ClusterGate;
  readonly osds: ClusterGate;
  readonly fileSystems: ClusterGate;
}

/** @param gates in the order in which they were made: a cluster whose monitors have changed has newer ones, which count. */
export function contactsOf(
  gates: readonly ClusterGates[],
  connections: readonly { readonly clusterId: string }[],
): ClusterContact[] {
  const newest = new Map(gates.map((each) => [each.clusterId, each]));
  return [...newest].map(([cluster, { monitors, osds, fileSystems }]) => {
    const services: [ClusterService, boolean | undefined][] = [
      ['monitors', monitors.lastAnswered],
      ['OSDs', osds.lastAnswered],
      ['MDSs', fileSystems.lastAnswered],
    ];
    return {
      cluster,
      connections: connections.filter(({ clusterId }) => clusterId === cluster).length,
      answers: new Map(services.flatMap(([service, last]) => (last === undefined ? [] : [[service, last]]))),
    };
  });
}
