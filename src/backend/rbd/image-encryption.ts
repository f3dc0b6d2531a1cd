import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CephPool, ImageHeader } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { StageInput } from '../backend.js';
import {
  type Encryption,
  encryptionMetadata,
  headerBytesIn,
  headerBytesFor,
  luksMark,
  missingPassphrase,
} from './encryption.js';
import type { MappedContent } from './mapper.js';
import { encryptedKey, formattedKey } from './metadata-keys.js';
import { imageSpec } from './rbd-program.js';

/** Advisory, on the image's header: gone with the image, and given up after a crash. */
const lockName = 'cuttle.luks';
const lockMs = 12_000;
const lockPollMs = 500;

/** Is the volume encrypted? The image's word counts, then, for one that was not made by us, that of the volume attributes. */
export function isEncrypted(header: ImageHeader, { context }: Pick<StageInput, 'context'>): boolean {
  return header.metadata.has(encryptedKey) || context.encrypted === 'true';
}

/** Does an encrypted volume's image still read from its source? */
export async function encryptedContent(
  ctx: CallContext,
  pool: CephPool,
  header: ImageHeader,
): Promise<Exclude<MappedContent, 'plain'>> {
  return (await pool.snapshots.parent(ctx, header.id)) === undefined ? 'encrypted' : 'encrypted clone';
}

/**
 * What mapping the image takes when its volume is encrypted.
 * @param header read with encryptedKey and formattedKey
 * @throws DriverError INVALID_ARGUMENT when the request has no passphrase.
 */
export function encryptionOf(
  ctx: CallContext,
  pool: CephPool,
  header: ImageHeader,
  { id, passphrase }: Pick<StageInput<RbdVolumeId>, 'id' | 'passphrase'>,
): Encryption {
  if (passphrase === undefined) throw missingPassphrase(id);
  const before = header.metadata.get(formattedKey);
  const isKnown = header.metadata.has(encryptedKey);
  const known = headerBytesIn(header.metadata);
  return {
    passphrase,
    headerBytes: isKnown ? known : headerBytesFor({ order: undefined, stripeCount: undefined }),
    isFormatted: isKnown && before !== undefined,
    mayFormat: () => {
      if (before === undefined) return;
      throw new DriverError(
        'FAILED_PRECONDITION',
        `image ${imageSpec(id)} was formatted ${before} by Cuttle before and shows no LUKS header now: it is not formatted again; ` +
          `look at it (rbd device map, cryptsetup luksDump), restore it, or allow a new format with: rbd image-meta remove ${imageSpec(id)} ${formattedKey}`,
      );
    },
    remember: async (headerBytes) => {
      const values = new Map([...encryptionMetadata(headerBytes), [formattedKey, before ?? luksMark]]);
      await pool.images.setMetadata(ctx, header.id, values);
    },
    exclusively: async (work) => exclusively(ctx, pool, header.id, id, work),
  };
}

/** A killed node's lock is waited for: the repeated request then goes on where that one was cut off. */
async function exclusively<T>(
  ctx: CallContext,
  pool: CephPool,
  imageId: string,
  id: RbdVolumeId,
  work: () => Promise<T>,
): Promise<T> {
  const cookie = randomUUID();
  const lock = async () => pool.lock(ctx, `rbd_header.${imageId}`, lockName, cookie, lockMs);
  const end = Date.now() + lockMs + lockPollMs;
  while (!(await lock())) {
    if (Date.now() > end) {
      throw new DriverError(
        'ABORTED',
        `image ${imageSpec(id)} is being formatted on another node at this moment: repeat the request`,
      );
    }
    await sleep(lockPollMs, undefined, { signal: ctx.signal });
  }
  const renewal = setInterval(() => {
    lock().catch((error: unknown) => {
      ctx.log.warn({ err: error, image: imageSpec(id) }, 'the lock on an image that is being formatted is not renewed');
    });
  }, lockMs / 4);
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    // Also for a caller who has gone; what stays after all ends by itself.
    const unlock = { ...ctx, signal: AbortSignal.timeout(lockMs) };
    await pool.unlock(unlock, `rbd_header.${imageId}`, lockName, cookie).catch(() => undefined);
  }
}
