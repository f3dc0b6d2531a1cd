import type { ParameterReference } from '../parameters.js';

/** Every parameter that a StorageClass for RBD may have: what is not in it is refused, and docs/configuration.md is made of it. */
export const rbdParameterReference = {
  backend: {
    fallback: '`rbd`',
    meaning: 'The kind of volume: `rbd`',
  },
  clusterID: {
    fallback: 'the only cluster there is',
    meaning: "A cluster's `id` in the configuration file",
  },
  pool: {
    fallback: '`rbd`',
    meaning: 'The pool of the image',
  },
  dataPool: {
    fallback: 'none',
    meaning: "A pool for the image's data, e.g. an erasure-coded one; `pool` then holds its header only",
  },
  topologyConstrainedPools: {
    fallback: 'none',
    meaning:
      'Pools and the places from which each is reached, as ceph-csi writes them: [topology](#topology). `pool` and `dataPool` are then for requests that say nothing of topology',
  },
  imageFeatures: {
    fallback: '`layering,exclusive-lock,object-map,fast-diff,deep-flatten`',
    meaning:
      'Image features, separated by commas; also `journaling`. `object-map` and `journaling` need `exclusive-lock`, `fast-diff` needs `object-map`',
  },
  objectSize: {
    fallback: "Ceph's: 4194304",
    meaning: 'Bytes of one object: a power of two from 4096 to 33554432',
  },
  stripeUnit: {
    fallback: 'none',
    meaning: 'Bytes; divides the object size. `stripeUnit` and `stripeCount` go together',
  },
  stripeCount: {
    fallback: 'none',
    meaning: 'Objects to stripe over',
  },
  volumeNamePrefix: {
    fallback: '`csi-vol-`',
    meaning: "Start of the images' names, at most 40 bytes",
  },
  mounter: {
    fallback: '`auto`',
    meaning:
      "`krbd` (also `rbd`), `nbd` (also `rbd-nbd`), `userspace`, or `auto`: the first of them that the node and the image's features allow. A named one is used or is an error",
  },
  mapOptions: {
    fallback: 'none',
    meaning:
      'Options for mapping: `krbd:a,b;nbd:c;userspace:d`; without a name they are for `krbd`, which has `mount_timeout=30` unless they say otherwise',
  },
  mkfsOptions: {
    fallback: 'none',
    meaning: 'Options of mkfs, separated by blanks',
  },
  encrypted: {
    fallback: '`false`',
    meaning:
      "`true`: the image is encrypted with LUKS2, by the Secret's `encryptionPassphrase`; see [below](#encrypted-volumes)",
  },
} as const satisfies ParameterReference;

export type RbdParameterName = keyof typeof rbdParameterReference;
export const rbdParameterNames = Object.keys(rbdParameterReference) as RbdParameterName[];
