import { DriverError } from '../../domain/errors.js';

/** librbd.h, RBD_FEATURE_*. */
export const featureBits = {
  layering: 1n << 0n,
  striping: 1n << 1n,
  'exclusive-lock': 1n << 2n,
  'object-map': 1n << 3n,
  'fast-diff': 1n << 4n,
  'deep-flatten': 1n << 5n,
  journaling: 1n << 6n,
  'data-pool': 1n << 7n,
  operations: 1n << 8n,
  migrating: 1n << 9n,
  'non-primary': 1n << 10n,
} as const;

export type FeatureName = keyof typeof featureBits;

/** Ceph's own default set (rbd_default_features = 61): deletes of sparse images stay cheap, one writer is enforced. */
export const defaultFeatures = 'layering,exclusive-lock,object-map,fast-diff,deep-flatten';

/** rbd(8), --image-feature: what a user may ask for, and what each needs beside it. */
const settable: Readonly<Partial<Record<FeatureName, FeatureName | undefined>>> = {
  layering: undefined,
  'exclusive-lock': undefined,
  'object-map': 'exclusive-lock',
  'fast-diff': 'object-map',
  'deep-flatten': undefined,
  journaling: 'exclusive-lock',
};

/** @throws DriverError INVALID_ARGUMENT naming the feature that doesn't exist or the one that it lacks. */
export function parseFeatures(text: string): bigint {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  let bits = 0n;
  for (const name of names) {
    if (!isSettable(name)) {
      throw new DriverError(
        'INVALID_ARGUMENT',
        `imageFeatures names "${name}", which is no image feature that can be set: use ${Object.keys(settable).join(', ')}`,
      );
    }
    const needed = settable[name];
    if (needed !== undefined && !names.includes(needed)) {
      throw new DriverError(
        'INVALID_ARGUMENT',
        `imageFeatures has "${name}", which needs "${needed}": add it, or leave "${name}" out`,
      );
    }
    bits |= featureBits[name];
  }
  return bits;
}

/** The names of the bits that are set; unknown bits by number. */
export function featureNames(bits: bigint): string[] {
  const named = Object.entries(featureBits).filter(([, bit]) => (bits & bit) !== 0n);
  const rest = named.reduce((left, [, bit]) => left & ~bit, bits);
  return [...named.map(([name]) => name), ...(rest === 0n ? [] : [`0x${rest.toString(16)}`])];
}

function isSettable(name: string): name is FeatureName {
  return Object.hasOwn(settable, name);
}
