import type { Segments, TopologyRequirement } from '../../domain/topology.js';
import type { csi } from '../gen/csi.js';
import { invalid, readMap } from './fields.js';

/** CSI says that a requirement names something; one that is empty demands nothing. @throws DriverError INVALID_ARGUMENT. */
export function readRequirement(message: csi.v1.TopologyRequirement | undefined): TopologyRequirement | undefined {
  if (message === undefined) return undefined;
  const field = 'accessibility_requirements';
  const requisite = message.requisite.map((one, i) => readSegments(`${field}.requisite[${i}]`, one));
  const preferred = message.preferred.map((one, i) => readSegments(`${field}.preferred[${i}]`, one));
  return requisite.length + preferred.length === 0 ? undefined : { requisite, preferred };
}

/** Keys that nobody here knows are no error: whatever they describe, only what has no topology is reached from there. */
export function readSegments(field: string, { segments }: csi.v1.Topology): Segments {
  if (segments.size === 0) throw invalid(`${field} is empty: name at least one topology key with its value`);
  return readMap(`${field}.segments`, segments);
}
