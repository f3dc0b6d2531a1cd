import type { CallContext } from '../../platform/call-context.js';
import { DriverError } from '../../domain/errors.js';
import type { ContentSource } from '../backend.js';
import { sourceText } from '../content-source.js';
import type { ChainStart } from './clone-depth.js';
import type { CreateRequest } from './create-request.js';
import { defaultOrder, fitsLayout, headerBytesIn } from './encryption.js';
import { encryptedKey } from './metadata-keys.js';

/**
 * What the LUKS header takes of a clone, in bytes: as much as of its source, whose header it has. 0n for one that isn't encrypted.
 * @throws DriverError INVALID_ARGUMENT when the source is encrypted and the clone is not to be, or the reverse, or in a layout in which
 *   librbd could not read it.
 */
export async function inheritedHeader(
  ctx: CallContext,
  { pool, imageId }: Pick<ChainStart, 'pool' | 'imageId'>,
  { parameters, input }: CreateRequest,
  source: ContentSource,
): Promise<bigint> {
  const { metadata } = await pool.images.headerById(ctx, imageId, [encryptedKey]);
  const headerBytes = headerBytesIn(metadata);
  const isWanted = parameters.headerBytes > 0n;
  if (headerBytes > 0n !== isWanted) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `parameter encrypted is "${String(isWanted)}" and the source ${sourceText(source)} is ${isWanted ? 'not encrypted' : 'encrypted'}: a clone is as its source is, so use a StorageClass with encrypted: "${String(!isWanted)}"`,
    );
  }
  const { objectSize, stripeCount } = input.parameters;
  if (!isWanted || (objectSize === undefined && stripeCount === undefined)) return headerBytes;
  if (fitsLayout(headerBytes, { order: parameters.order ?? defaultOrder, stripeCount: parameters.stripeCount }))
    return headerBytes;
  throw new DriverError(
    'INVALID_ARGUMENT',
    `objectSize and stripeCount don't suit the source ${sourceText(source)}, whose LUKS header has ${headerBytes.toString()} bytes: their product must divide it; leave them out, and the clone is laid out as its source`,
  );
}
