import { mountPointOf, sameDevice, type MountInfo } from './mount-info.js';

export interface MountedDevice {
  /** The source as the mount table names it; undefined when nothing is mounted at the path. */
  device: string | undefined;
  /** How many mounts show the same file system, this one included; 0 when nothing is mounted at the path. */
  refCount: number;
}

/** The device behind the topmost mount at `mountPath` (resolved), and how many mounts use it. */
export function getDeviceNameFromMount(mountPath: string, table: readonly MountInfo[]): MountedDevice {
  const mounted = mountPointOf(mountPath, table);
  if (mounted === undefined) return { device: undefined, refCount: 0 };
  return { device: mounted.source, refCount: table.filter((entry) => sameDevice(entry, mounted)).length };
}
