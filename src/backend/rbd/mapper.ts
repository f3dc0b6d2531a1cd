import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { deviceSizeBytes } from 'mount-utils-ts';
import { DriverError } from '../../domain/errors.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Credentials } from '../../platform/credentials.js';
import type { Encryption } from './encryption.js';

export const mapperKinds = ['krbd', 'nbd', 'userspace'] as const;
export type MapperKind = (typeof mapperKinds)[number];

/** Values of the StorageClass parameter `mounter`. `rbd` and `rbd-nbd` are ceph-csi's names for krbd and nbd. */
export const mounters = ['auto', ...mapperKinds, 'rbd', 'rbd-nbd'] as const;

export interface MapRequest {
  readonly id: RbdVolumeId;
  readonly readOnly: boolean;
  /** mon_host in Ceph's own form. */
  readonly monitors: string;
  readonly user: string;
  /** undefined when the keyring that librados found serves the program as well. */
  readonly key: Credentials['key'] | undefined;
  readonly keyring: string | undefined;
  readonly features: bigint;
  /** For this mapper, as a StorageClass wrote it: separated by commas. */
  readonly options: readonly string[];
  /** Set for an encrypted volume: the device is to show what is inside its LUKS header. */
  readonly encryption?: Encryption | undefined;
}

export interface Mapping {
  /** e.g. /dev/rbd0, /dev/nbd3, /dev/loop1, /dev/dm-0 */
  readonly device: string;
  readonly readOnly: boolean;
  /** Of the image that it shows, where the mapper knows it. */
  readonly imageId?: string;
  /** It shows what is inside the image's LUKS header; else the image as it is. */
  readonly isEncrypted?: boolean;
  /** Made by map(), but begun by an earlier request: its client may have watched the image before this one came. */
  readonly begunBefore?: boolean;
}

/** What there is to map: an encrypted volume that still reads from its source is one that librbd can't have open safely. */
export type MappedContent = 'plain' | 'encrypted' | 'encrypted clone';

/** One way to make a block device of an image. */
export interface Mapper {
  readonly kind: MapperKind;
  /** Why this node can't map an image with these features this way; undefined when it can. */
  objection(features: bigint, content?: MappedContent): Promise<string | undefined>;
  /** Mappings of the image that exist on this node, from the kernel's tables alone. */
  find(id: RbdVolumeId): Promise<Mapping[]>;
  /** Is this device the image? Takes no process and no cluster. */
  isImage(device: string, id: RbdVolumeId): Promise<boolean>;
  /** The caller has made sure that the image isn't mapped yet. @throws DriverError */
  map(ctx: CallContext, request: MapRequest): Promise<Mapping>;
  /**
   * The mapped volume has grown to so many bytes, and its image has those and headerBytes (0n unless set): the device has sizeBytes when
   * this returns. @throws DriverError UNAVAILABLE when it doesn't come to have them.
   */
  refreshSize(
    ctx: CallContext,
    id: RbdVolumeId,
    device: string,
    sizeBytes: bigint,
    headerBytes?: bigint,
  ): Promise<void>;
  /** Idempotent; also clears what a mapping that was cut off has left. @throws DriverError FAILED_PRECONDITION when in use. */
  unmap(ctx: CallContext, id: RbdVolumeId, options: readonly string[]): Promise<void>;
}

/**
 * The options meant for one mapper: `krbd:a,b;nbd:c` names them, plain `a,b` is for krbd (ceph-csi's mapOptions syntax).
 */
export function optionsFor(kind: MapperKind, text: string | undefined): string[] {
  const parts = (text ?? '').split(';').map((part) => {
    const [head, ...rest] = part.split(':');
    return head === 'krbd' || head === 'nbd' || head === 'userspace'
      ? { kind: head, options: rest.join(':') }
      : { kind: 'krbd', options: part };
  });
  return parts
    .filter((part) => part.kind === kind)
    .flatMap((part) => part.options.split(','))
    .filter((option) => option !== '');
}

const refreshTimeoutMs = 20_000;
const refreshPollMs = 50;

/** For mappers that learn of a new size by themselves. @throws DriverError UNAVAILABLE. */
export async function waitForSize(
  ctx: CallContext,
  device: string,
  sizeBytes: bigint,
  timeoutMs = refreshTimeoutMs,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while ((await deviceSizeBytes(device)) < sizeBytes) {
    if (Date.now() > end) {
      throw new DriverError(
        'UNAVAILABLE',
        `${device} does not show the image's new size of ${sizeBytes.toString()} bytes after ${timeoutMs} ms: is the cluster reachable from this node? The request may be repeated`,
      );
    }
    await sleep(refreshPollMs, undefined, { signal: ctx.signal });
  }
}

/** The kernel's own word on a block device (Documentation/ABI/stable/sysfs-block): what is written to it would fail. */
export async function isReadOnlyDevice(device: string, sysBlock = '/sys/block'): Promise<boolean> {
  const text = await readFile(join(sysBlock, basename(device), 'ro'), 'utf8').catch(() => '0');
  return text.trim() === '1';
}
