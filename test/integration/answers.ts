import type { csi } from '../../src/csi/gen/csi.js';

export interface Volume {
  readonly id: string;
  readonly bytes: bigint;
  readonly context: Readonly<Record<string, string>>;
  readonly topology?: Topology;
}

/** accessible_topology; left out when it is empty. */
export type Topology = readonly Readonly<Record<string, string>>[];

export interface Snapshot {
  readonly id: string;
  readonly source: string;
  readonly bytes: bigint;
  readonly createdMs: number;
  readonly ready: boolean;
  readonly topology?: Topology;
}

/** A volume as ListVolumes and ControllerGetVolume show it. */
export interface ListedVolume {
  readonly id: string;
  readonly bytes: bigint;
  readonly nodes: readonly string[];
  readonly topology?: Topology;
}

export interface Page {
  readonly ids: readonly string[];
  readonly next: string;
}

export interface Usage {
  readonly unit: 'BYTES' | 'INODES' | 'UNKNOWN';
  readonly total: bigint;
  readonly used: bigint;
  readonly available: bigint;
}

export function listedVolume(
  entry: csi.v1.ListVolumesResponse.Entry | csi.v1.ControllerGetVolumeResponse,
): ListedVolume {
  const { volume, status } = entry;
  return {
    id: volume?.volume_id ?? '',
    bytes: BigInt(volume?.capacity_bytes ?? '0'),
    nodes: status?.published_node_ids ?? [],
    ...topologyIn(volume),
  };
}

export function topologyIn(message: csi.v1.Volume | csi.v1.Snapshot | undefined): { topology?: Topology } {
  const places = message?.accessible_topology ?? [];
  return places.length === 0 ? {} : { topology: places.map(({ segments }) => Object.fromEntries(segments)) };
}

/** @throws Error when there is none. */
export function snapshotOf(snapshot: csi.v1.Snapshot | undefined): Snapshot {
  if (snapshot === undefined) throw new Error('the answer has no snapshot');
  return {
    id: snapshot.snapshot_id,
    source: snapshot.source_volume_id,
    bytes: BigInt(snapshot.size_bytes),
    createdMs: Number(snapshot.creation_time?.seconds ?? 0) * 1000,
    ready: snapshot.ready_to_use,
    ...topologyIn(snapshot),
  };
}
