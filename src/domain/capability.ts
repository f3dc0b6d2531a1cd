/** CSI's VolumeCapability.AccessMode.Mode, without UNKNOWN. */
export const accessModes = [
  'SINGLE_NODE_WRITER',
  'SINGLE_NODE_READER_ONLY',
  'MULTI_NODE_READER_ONLY',
  'MULTI_NODE_SINGLE_WRITER',
  'MULTI_NODE_MULTI_WRITER',
  'SINGLE_NODE_SINGLE_WRITER',
  'SINGLE_NODE_MULTI_WRITER',
] as const;

export type AccessMode = (typeof accessModes)[number];

export interface MountAccess {
  readonly type: 'mount';
  /** '' when the request leaves the choice to the driver. */
  readonly fsType: string;
  readonly mountFlags: readonly string[];
}

export interface BlockAccess {
  readonly type: 'block';
}

export interface VolumeCapability {
  readonly access: MountAccess | BlockAccess;
  readonly mode: AccessMode;
}

/** Nothing may be written through this mode (CSI spec, AccessMode). */
export function isReaderOnly(mode: AccessMode): boolean {
  return mode === 'SINGLE_NODE_READER_ONLY' || mode === 'MULTI_NODE_READER_ONLY';
}

/** More than one node may hold the volume at once. */
export function isMultiNode(mode: AccessMode): boolean {
  return mode.startsWith('MULTI_NODE_');
}

/** One target path at a time on the node (CSI spec, NodePublishVolume's table of second calls). */
export function isSingleTarget(mode: AccessMode): boolean {
  return mode === 'SINGLE_NODE_SINGLE_WRITER' || mode === 'SINGLE_NODE_WRITER';
}
