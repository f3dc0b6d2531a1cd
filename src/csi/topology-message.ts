import type { Reach, Segments } from '../domain/topology.js';
import { csi } from './gen/csi.js';

export function topologyMessage(segments: Segments): csi.v1.Topology {
  return new csi.v1.Topology({ segments: new Map(Object.entries(segments)) });
}

/** What can be reached from everywhere has none (CSI spec, Volume.accessible_topology). */
export function reachMessage(reach: Reach | undefined): csi.v1.Topology[] {
  return (reach ?? []).map(topologyMessage);
}
