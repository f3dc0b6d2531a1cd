import { DriverError } from '../domain/errors.js';
import {
  type Segments,
  topologyKeyObjection,
  topologyKeysObjection,
  topologyValueObjection,
} from '../domain/topology.js';

/** A label of this node's Node object, and the topology key that it becomes. */
export interface TopologyLabel {
  readonly label: string;
  readonly key: string;
}

export interface TopologyOptions {
  /** --topology */
  readonly topology: Segments;
  /** --topology-labels */
  readonly topologyLabels: readonly TopologyLabel[];
}

/** @throws DriverError INVALID_ARGUMENT naming the option and the key. */
export function readTopology(pairs: string | undefined, labels: string | undefined): TopologyOptions {
  const topology = split(pairs).map((pair) => {
    const [key, value] = halves(pair);
    if (value === undefined) throw invalid(`--topology "${pair}" is no KEY=VALUE`);
    refuse('--topology', key, topologyKeyObjection(key));
    refuse(`--topology ${key}`, value, topologyValueObjection(value));
    return [key, value] as const;
  });
  const topologyLabels = split(labels).map((one) => {
    const [label, key = label] = halves(one);
    refuse('--topology-labels', key, topologyKeyObjection(key));
    return { label, key };
  });
  const keys = [...topology.map(([key]) => key), ...topologyLabels.map(({ key }) => key)];
  const twice = keys.find((key, i) => keys.indexOf(key) !== i);
  if (twice !== undefined) throw invalid(`topology key "${twice}" is given twice by --topology and --topology-labels`);
  const objection = topologyKeysObjection(keys);
  if (objection !== undefined)
    throw invalid(`--topology and --topology-labels: ${objection}; LABEL=KEY gives a label's value another key`);
  return { topology: Object.fromEntries(topology), topologyLabels };
}

function split(list: string | undefined): string[] {
  const parts = (list ?? '').split(',').map((part) => part.trim());
  return parts.filter((part) => part !== '');
}

function halves(text: string): [string, string | undefined] {
  const at = text.indexOf('=');
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function refuse(what: string, text: string, objection: string | undefined): void {
  if (objection !== undefined) throw invalid(`${what}: "${text}" ${objection}`);
}

function invalid(message: string): DriverError {
  return new DriverError('INVALID_ARGUMENT', message);
}
