import { readFile, stat } from 'node:fs/promises';
import { MountError } from './mount-error.js';

export interface DeviceNumber {
  major: number;
  minor: number;
}

/** The unit of /sys/dev/block/M:m/size, whatever the device's own sector size. */
const SYSFS_SECTOR_BYTES = 512n;

/** Splits a dev_t as stat(2) returns it; the bit layout is that of makedev(3) in glibc. */
export function splitDeviceNumber(dev: bigint): DeviceNumber {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

/** The number of the block device at `path`; undefined when the path is something else. Throws what stat(2) says. */
export async function blockDeviceNumber(path: string): Promise<DeviceNumber | undefined> {
  const found = await stat(path, { bigint: true });
  return found.isBlockDevice() ? splitDeviceNumber(found.rdev) : undefined;
}

/** The size in bytes of a block device (from sysfs, without opening it) or of a regular file. */
export async function deviceSizeBytes(path: string): Promise<bigint> {
  const found = await stat(path, { bigint: true });
  if (found.isFile()) return found.size;
  if (!found.isBlockDevice()) {
    throw new MountError('Unknown', `${path} is neither a block device nor a regular file: it has no size to ask for`);
  }
  const { major, minor } = splitDeviceNumber(found.rdev);
  const sectors = await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8');
  return BigInt(sectors.trim()) * SYSFS_SECTOR_BYTES;
}
