import type { ClusterContact } from './state-metrics.js';
import type { Readiness } from './status-server.js';

export interface ReadinessSources {
  /** Are requests served? Neither before the socket is there nor while the process ends. */
  readonly serving: () => boolean;
  /** Why the configuration file as it is now is not in use. */
  readonly refusal: () => string | undefined;
  /** Every cluster of the configuration. */
  readonly clusters: () => readonly string[];
  readonly contacts: () => readonly ClusterContact[];
}

/**
 * What this process can answer for itself makes it unready: that it does not serve, or that it would not start anew with the
 * configuration as it is. A cluster that is silent is told and no more: another pod would find it as silent, and volumes of other
 * clusters go on.
 */
export function readiness(sources: ReadinessSources): Readiness {
  const refusal = sources.refusal();
  const faults = [
    ...(sources.serving() ? [] : ['requests are not served']),
    ...(refusal === undefined ? [] : [`the changed configuration is refused, the earlier one is in use: ${refusal}`]),
  ];
  const contacts = new Map(sources.contacts().map((contact) => [contact.cluster, contact]));
  const notes = sources.clusters().map((cluster) => `cluster "${cluster}": ${stateOf(contacts.get(cluster))}`);
  return { ready: faults.length === 0, notes: [...faults, ...notes] };
}

function stateOf(contact: ClusterContact | undefined): string {
  if (contact === undefined || contact.answers.size === 0) return 'nothing was asked of it yet';
  const silent = [...contact.answers].flatMap(([service, answered]) => (answered ? [] : [service]));
  if (silent.length === 0) return `answers (open connections: ${contact.connections})`;
  return `the last call to its ${silent.join(' and ')} got no answer in time`;
}
