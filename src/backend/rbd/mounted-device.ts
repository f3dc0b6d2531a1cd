import { basename } from 'node:path';
import type { Luks, MountInfo } from 'mount-utils-ts';

/**
 * The device that a mount shows, by the kernel's own name. A bound device node shows as its path in devtmpfs, a file system by its
 * source; mount(8) writes /dev/mapper/NAME where it was given /dev/dm-N.
 */
export async function deviceOf(entry: MountInfo, luks: Pick<Luks, 'find'>): Promise<string> {
  const device = isDeviceNode(entry) ? `/dev${entry.root}` : entry.source;
  if (!device.startsWith('/dev/mapper/')) return device;
  return (await luks.find(basename(device)))?.device ?? device;
}

export function isDeviceNode(entry: MountInfo): boolean {
  return /^\/(?:(?:loop|rbd|nbd|dm-)[0-9]+|mapper\/[^/]+)$/.test(entry.root);
}
