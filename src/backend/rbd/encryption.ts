import { DriverError } from '../../domain/errors.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { Secret } from '../../platform/secret.js';
import type { StringMap } from '../backend.js';
import { encryptedKey } from './metadata-keys.js';

/** cryptsetup-luksFormat(8): what a LUKS2 header takes unless told otherwise. */
const leastHeaderBytes = 16n << 20n;
/** Of encrypted images whose StorageClass doesn't say: Ceph's own default, which its configuration could change. */
export const defaultOrder = 22;

/** What an image's formatted mark says while it holds a LUKS header and no file system was made in it by us. */
export const luksMark = 'luks2';

/** How an image's objects lie; what a StorageClass leaves out is undefined. */
export interface Layout {
  readonly order: number | undefined;
  readonly stripeCount: bigint | undefined;
}

/**
 * What the LUKS2 header takes of a new image, in bytes. librbd wants the data to begin at a multiple of the stripe period
 * (librbd, crypto/luks/LoadRequest.cc), which dm-crypt doesn't mind.
 */
export function headerBytesFor(layout: Layout): bigint {
  const period = stripePeriod(layout);
  return ((leastHeaderBytes + period - 1n) / period) * period;
}

/** Can librbd read an image of this layout whose data begins there? */
export function fitsLayout(headerBytes: bigint, layout: Layout): boolean {
  return headerBytes % stripePeriod(layout) === 0n;
}

function stripePeriod({ order = defaultOrder, stripeCount = 1n }: Layout): bigint {
  return (1n << BigInt(order)) * stripeCount;
}

/** What an image has beside its volume's data, in bytes: 0n for one that isn't encrypted. @param metadata read with encryptedKey */
export function headerBytesIn(metadata: ReadonlyMap<string, string>): bigint {
  const text = metadata.get(encryptedKey) ?? '0';
  if (/^[0-9]{1,16}$/.test(text)) return BigInt(text);
  throw new DriverError(
    'INTERNAL',
    `the metadata ${encryptedKey} of an image is "${text}" and not what Cuttle wrote, a number of bytes: restore it (cryptsetup luksDump shows the offset of the data)`,
  );
}

/** Metadata of an image that is encrypted; none for one that isn't. */
export function encryptionMetadata(headerBytes: bigint): Map<string, string> {
  return new Map(headerBytes === 0n ? [] : [[encryptedKey, headerBytes.toString()]]);
}

/** @throws DriverError INVALID_ARGUMENT for anything but true and false. */
export function parseEncrypted(parameters: StringMap): boolean {
  const text = parameters.encrypted ?? 'false';
  if (text === 'true' || text === 'false') return text === 'true';
  throw new DriverError('INVALID_ARGUMENT', `parameter encrypted is "${text}": write "true" or "false"`);
}

/** What mapping an encrypted volume takes. */
export interface Encryption {
  readonly passphrase: Secret;
  /** Where the data is to begin on a device that is formatted now. */
  readonly headerBytes: bigint;
  /** It is written on the image that there is a LUKS header. */
  readonly isFormatted: boolean;
  /** @throws DriverError FAILED_PRECONDITION when the image was formatted before and only looks blank now. */
  mayFormat(): void;
  /** Writes on the image that it has a LUKS header, and what that takes of it. */
  remember(headerBytes: bigint): Promise<void>;
  /** While the work runs, no other node formats the image. @throws DriverError ABORTED when one does. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
}

export function missingPassphrase(id: RbdVolumeId): DriverError {
  return new DriverError(
    'INVALID_ARGUMENT',
    `volume ${formatVolumeId(id)} is encrypted and the Secret has no encryptionPassphrase: add it to the Secret that csi.storage.k8s.io/node-stage-secret-name names`,
  );
}

export function wrongPassphrase(id: RbdVolumeId): DriverError {
  return new DriverError(
    'UNAUTHENTICATED',
    `the Secret's encryptionPassphrase does not open volume ${formatVolumeId(id)}: it must be the one with which the volume, or the one that it was cloned from, was staged first`,
  );
}
