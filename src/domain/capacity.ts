import { DriverError } from './errors.js';

/** A request's capacity_range. 0n means "not set", as in CSI's CapacityRange. */
export interface CapacityRange {
  readonly requiredBytes: bigint;
  readonly limitBytes: bigint;
}

export const defaultVolumeBytes = 1n << 30n;
export const minVolumeBytes = 1n << 20n;
/** 8 PiB: the largest integer that every JSON tool on the way (kubectl, jq) still reads exactly. */
export const maxVolumeBytes = 1n << 53n;
/** A multiple of every sector size in use, so that a block device never ends before its volume does. */
export const volumeAlignmentBytes = 4096n;

/**
 * The size to create for a range: required, rounded up to the alignment, never above limit.
 * @throws DriverError INVALID_ARGUMENT (a range that makes no sense) or OUT_OF_RANGE (a size that can't be had).
 */
export function chooseSize(range: CapacityRange | undefined): bigint {
  if (range === undefined) return defaultVolumeBytes;
  checkRange(range);
  const { requiredBytes, limitBytes } = range;
  if (requiredBytes > maxVolumeBytes) {
    throw new DriverError(
      'OUT_OF_RANGE',
      `capacity_range.required_bytes ${requiredBytes.toString()} is more than the largest volume, ${maxVolumeBytes.toString()} bytes (8 PiB): ask for less`,
    );
  }
  const preferred = requiredBytes === 0n ? smaller(defaultVolumeBytes, limitBytes) : requiredBytes;
  const floor = preferred < minVolumeBytes ? minVolumeBytes : preferred;
  const size = roundUp(floor);
  if (limitBytes === 0n || size <= limitBytes) return size;
  const roundedDown = limitBytes - (limitBytes % volumeAlignmentBytes);
  if (requiredBytes <= roundedDown && roundedDown >= minVolumeBytes) return roundedDown;
  throw new DriverError(
    'OUT_OF_RANGE',
    `capacity_range [${requiredBytes.toString()}, ${limitBytes.toString()}] holds no size that a volume can have: ` +
      `at least ${minVolumeBytes.toString()} bytes and a multiple of ${volumeAlignmentBytes.toString()}; raise limit_bytes`,
  );
}

/**
 * The size to grow a volume to; its own size when that is enough already. Volumes never shrink.
 * @throws DriverError INVALID_ARGUMENT (a range that makes no sense) or OUT_OF_RANGE (a size that can't be had).
 */
export function growSize(currentBytes: bigint, range: CapacityRange): bigint {
  checkRange(range);
  const { requiredBytes, limitBytes } = range;
  if (requiredBytes > currentBytes) return chooseSize(range);
  if (limitBytes === 0n || currentBytes <= limitBytes) return currentBytes;
  throw new DriverError(
    'OUT_OF_RANGE',
    `capacity_range.limit_bytes ${limitBytes.toString()} is below the volume's ${currentBytes.toString()} bytes, and volumes don't shrink: raise the limit`,
  );
}

/** Does a volume of this size satisfy the range? An absent range is satisfied by any size. */
export function sizeFits(sizeBytes: bigint, range: CapacityRange | undefined): boolean {
  if (range === undefined) return true;
  return sizeBytes >= range.requiredBytes && (range.limitBytes === 0n || sizeBytes <= range.limitBytes);
}

function checkRange({ requiredBytes, limitBytes }: CapacityRange): void {
  for (const [field, value] of [
    ['required_bytes', requiredBytes],
    ['limit_bytes', limitBytes],
  ] as const) {
    if (value < 0n) {
      throw new DriverError(
        'INVALID_ARGUMENT',
        `capacity_range.${field} is ${value.toString()}: a size can't be negative`,
      );
    }
  }
  if (requiredBytes === 0n && limitBytes === 0n) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      'capacity_range sets neither required_bytes nor limit_bytes: set one of them, or leave capacity_range out for a volume of 1 GiB',
    );
  }
  if (limitBytes !== 0n && limitBytes < requiredBytes) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `capacity_range.limit_bytes ${limitBytes.toString()} is below required_bytes ${requiredBytes.toString()}: raise the limit or ask for less`,
    );
  }
}

function smaller(preferred: bigint, limitBytes: bigint): bigint {
  return limitBytes !== 0n && limitBytes < preferred ? limitBytes : preferred;
}

function roundUp(bytes: bigint): bigint {
  return ((bytes + volumeAlignmentBytes - 1n) / volumeAlignmentBytes) * volumeAlignmentBytes;
}
