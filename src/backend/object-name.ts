import { v5 as uuidV5 } from 'uuid';

/** The namespace UUID of Cuttle's volume names: changing it would orphan every volume's name. */
const volumeNames = 'b2f9a5a0-4f1c-5f0e-9d57-6c2f3f6f3a51';

const snapshotNames = '6d0c1a3e-94f5-5b0d-8a1c-1f0e7e6f2c9b';

const uuidV5Text = /[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const snapshotPrefix = 'csi-snap-';
const snapshotNameText = /^csi-snap-[A-Za-z0-9_-]{22}$/;

export const defaultVolumeNamePrefix = 'csi-vol-';

/** The object's name for a CO's volume name: the same name always lands on the same object (RFC 9562, UUIDv5). */
export function objectNameFor(coName: string, prefix: string): string {
  return prefix + uuidV5(coName, volumeNames);
}

/**
 * The snapshot's name for a CO's snapshot name: short, because the snapshot id carries the volume's as well, and unlike any
 * that a person would give.
 */
export function snapshotNameFor(coName: string): string {
  return `${snapshotPrefix}${Buffer.from(uuidV5(coName, snapshotNames, Buffer.alloc(16))).toString('base64url')}`;
}

/** Could snapshotNameFor have made this name? */
export function looksTaken(snapshotName: string): boolean {
  return snapshotNameText.test(snapshotName);
}

/** Could objectNameFor have made this name? */
export function looksDerived(objectName: string): boolean {
  return uuidV5Text.test(objectName);
}
