import { createHash } from 'node:crypto';
import { type AccessMode, isMultiNode, isReaderOnly, type VolumeCapability } from '../domain/capability.js';
import { DriverError } from '../domain/errors.js';
import { formatVolumeId, type VolumeId } from '../domain/volume-id.js';
import type { RecordPlace } from './volume-record.js';
import { parseWritten } from './written-json.js';

/** How a volume is attached, by the same request to one node or to many. */
export interface AttachedUse {
  readonly capability: VolumeCapability;
  readonly readOnly: boolean;
}

/** Which nodes have the volume, and which of their clients are shut out; kept on the image or directory itself. */
export interface AttachmentRecord {
  readonly version: 1;
  /** One entry for each way of use: a thousand nodes that share a volume have room in one attribute. */
  readonly uses: readonly (AttachedUse & { readonly nodes: readonly string[] })[];
  /** Addresses of clients that were fenced, or are about to be, until their node has others. */
  readonly fenced: readonly { readonly node: string; readonly addresses: readonly string[] }[];
}

export const noAttachments: AttachmentRecord = { version: 1, uses: [], fenced: [] };

/** @param where what holds it, for the sentence. @throws DriverError INTERNAL when somebody else has written there. */
export function parseAttachments(text: string | undefined, where: RecordPlace): AttachmentRecord {
  if (text === undefined || text === '') return noAttachments;
  return parseWritten<AttachmentRecord>(
    text,
    ({ uses, fenced }) => Array.isArray(uses) && Array.isArray(fenced),
    `${where.what} is not what Cuttle wrote: make sure that no node has the volume, then remove it (${where.removal})`,
  );
}

export function attachedNodes(record: AttachmentRecord): string[] {
  return record.uses.flatMap((use) => use.nodes);
}

/**
 * @returns the record with the node in it; the same one when it was in it already.
 * @throws DriverError ALREADY_EXISTS (in another way), FAILED_PRECONDITION (another node has it) as CSI's ControllerPublishVolume
 *   Errors say.
 */
export function withNode(record: AttachmentRecord, id: VolumeId, node: string, use: AttachedUse): AttachmentRecord {
  const own = record.uses.find(({ nodes }) => nodes.includes(node));
  if (own !== undefined) {
    if (isSameUse(own, use)) return record;
    throw new DriverError(
      'ALREADY_EXISTS',
      `volume ${formatVolumeId(id)} is attached to node "${node}" already, as ${describe(own)} and not as ${describe(use)}: detach it there first`,
    );
  }
  refuseOtherNodes(record, id, node, use);
  const same = record.uses.find((one) => isSameUse(one, use));
  const rest = record.uses.filter((one) => one !== same);
  return { ...record, uses: [...rest, { ...use, nodes: [...(same?.nodes ?? []), node].sort() }] };
}

export function withoutNode(record: AttachmentRecord, node: string): AttachmentRecord {
  if (!attachedNodes(record).includes(node)) return record;
  const uses = record.uses.map((use) => ({ ...use, nodes: use.nodes.filter((one) => one !== node) }));
  return { ...record, uses: uses.filter(({ nodes }) => nodes.length > 0) };
}

export function fencedAddresses(record: AttachmentRecord, node: string): readonly string[] {
  return record.fenced.find((one) => one.node === node)?.addresses ?? [];
}

/** @param addresses all of the node's; none takes the node out. */
export function withFenced(record: AttachmentRecord, node: string, addresses: readonly string[]): AttachmentRecord {
  const before = fencedAddresses(record, node);
  if (before.length === addresses.length && before.every((one) => addresses.includes(one))) return record;
  const rest = record.fenced.filter((one) => one.node !== node);
  return { ...record, fenced: addresses.length === 0 ? rest : [...rest, { node, addresses: [...addresses] }] };
}

/**
 * Why this node may not stage the volume: an orchestrator that attaches volumes has given it to others, or has taken it from this node
 * by force. undefined also for a volume that nobody has attached, unless that is required: there are orchestrators that don't.
 */
export function stageObjection(
  record: AttachmentRecord,
  id: VolumeId,
  node: string,
  isRequired: boolean,
): string | undefined {
  const nodes = attachedNodes(record);
  if (nodes.includes(node)) return undefined;
  if (nodes.length > 0) {
    return `volume ${formatVolumeId(id)} is attached to ${quoted(nodes)} and not to this node ("${node}"): attach it here first (ControllerPublishVolume; in Kubernetes see kubectl get volumeattachments)`;
  }
  if (fencedAddresses(record, node).length > 0) {
    return `volume ${formatVolumeId(id)} was taken from this node ("${node}") by force and its client here was fenced: attach it here first (ControllerPublishVolume)`;
  }
  if (!isRequired) return undefined;
  return `volume ${formatVolumeId(id)} is not attached to this node ("${node}") any more: attach it here first (ControllerPublishVolume)`;
}

/** @throws DriverError FAILED_PRECONDITION: what a node has is not deleted. */
export function refuseAttached(id: VolumeId, record: AttachmentRecord): void {
  const nodes = attachedNodes(record);
  if (nodes.length === 0) return;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `volume ${formatVolumeId(id)} is attached to ${quoted(nodes)} and can't be deleted: detach it there first (ControllerUnpublishVolume; in Kubernetes: delete the pods that use it)`,
  );
}

/** Short, and of letters that any name may have; the same for the same text. */
export function shortKey(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}

function refuseOtherNodes(record: AttachmentRecord, id: VolumeId, node: string, use: AttachedUse): void {
  for (const other of record.uses) {
    const why = conflictOf(other, use);
    if (why === undefined) continue;
    throw new DriverError(
      'FAILED_PRECONDITION',
      `volume ${formatVolumeId(id)} is attached to ${quoted(other.nodes)} and can't be attached to node "${node}" beside it: ${why}; detach it there first (in Kubernetes: delete the pod that uses it; for a node that is gone, taint it node.kubernetes.io/out-of-service)`,
    );
  }
}

/** CSI spec, AccessMode. */
function conflictOf(other: AttachedUse, use: AttachedUse): string | undefined {
  for (const { capability } of [other, use]) {
    if (!isMultiNode(capability.mode)) return `access mode ${capability.mode} allows one node at a time`;
  }
  const mode: AccessMode = 'MULTI_NODE_SINGLE_WRITER';
  if ([other, use].some(({ capability }) => capability.mode === mode) && [other, use].every(writes))
    return `access mode ${mode} allows one node to write`;
  return undefined;
}

function writes({ capability, readOnly }: AttachedUse): boolean {
  return !readOnly && !isReaderOnly(capability.mode);
}

function isSameUse(a: AttachedUse, b: AttachedUse): boolean {
  return a.readOnly === b.readOnly && fingerprint(a.capability) === fingerprint(b.capability);
}

function fingerprint({ mode, access }: VolumeCapability): string {
  return JSON.stringify(access.type === 'block' ? [mode] : [mode, access.fsType, [...access.mountFlags].sort()]);
}

function describe({ capability, readOnly }: AttachedUse): string {
  const { access, mode } = capability;
  const details = access.type === 'block' ? [] : [access.fsType, ...access.mountFlags].filter((text) => text !== '');
  return [access.type, mode, ...details, readOnly ? 'read-only' : 'for writing'].join(' ');
}

function quoted(nodes: readonly string[]): string {
  const shown = nodes.slice(0, 5).map((node) => `"${node}"`);
  return `node ${shown.join(', ')}${nodes.length > 5 ? ` and ${nodes.length - 5} more` : ''}`;
}
