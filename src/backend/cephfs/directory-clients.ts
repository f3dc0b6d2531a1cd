import { shortKey } from '../attachment-record.js';

/*
 * Which Ceph clients a node has a volume mounted for writing with, written on the directory by the node, through the mount itself: a clean
 * NodeUnstageVolume, which carries no secrets, takes it away again. What is there is to be fenced should the node be lost.
 */
const attributePrefix = 'trusted.cuttle.client.';

export interface NodeClients {
  readonly node: string;
  /** Addresses, by the client's id (`4220`). */
  readonly clients: Readonly<Record<string, string>>;
}

export function clientAttribute(node: string): string {
  return attributePrefix + shortKey(node);
}

export function isClientAttribute(name: string): boolean {
  return name.startsWith(attributePrefix);
}

/** undefined for what is not there, or not ours. */
export function parseClients(text: string | undefined): NodeClients | undefined {
  try {
    const value = JSON.parse(text ?? '') as Partial<NodeClients> | null;
    if (typeof value?.node !== 'string' || typeof value.clients !== 'object') return undefined;
    return { node: value.node, clients: value.clients };
  } catch {
    return undefined;
  }
}
