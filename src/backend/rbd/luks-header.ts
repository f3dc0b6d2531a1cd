import { describeFormat, type DiskFormat, type Luks } from 'mount-utils-ts';
import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Encryption } from './encryption.js';
import type { MapRequest } from './mapper.js';
import { imageSpec } from './rbd-program.js';

export interface LuksHeaderDependencies {
  readonly luks: Luks;
  /** What is on a device, past all caches: SafeFormatAndMount.getDiskFormat. */
  readonly formatOf: (device: string) => Promise<DiskFormat>;
}

/** A request to map an encrypted volume. */
export type EncryptedRequest = Pick<MapRequest, 'id' | 'readOnly'> & { readonly encryption: Encryption };

/**
 * Makes sure that the mapped image has a LUKS header: formats one that is blank and was never formatted by us, and one whose format
 * was cut off before it had a key. Everything else is refused, and nothing is written.
 * @throws DriverError FAILED_PRECONDITION (it holds something else, or must not be formatted), ABORTED (another node formats it).
 */
export async function ensureLuksHeader(
  ctx: CallContext,
  deps: LuksHeaderDependencies,
  device: string,
  request: EncryptedRequest,
): Promise<void> {
  const { encryption, readOnly } = request;
  if (encryption.isFormatted && isLuks(await deps.formatOf(device))) return;
  if (readOnly) {
    refuseUnlessLuks(await deps.formatOf(device), device, request);
    return;
  }
  await encryption.exclusively(async () => formatIfBlank(ctx, deps, device, request));
}

async function formatIfBlank(
  ctx: CallContext,
  { luks, formatOf }: LuksHeaderDependencies,
  device: string,
  request: EncryptedRequest,
): Promise<void> {
  const { encryption, id } = request;
  const found = await formatOf(device);
  if (isLuks(found)) {
    const header = await luks.header(device, { signal: ctx.signal });
    if (header.keyslots > 0) return encryption.remember(header.dataOffsetBytes);
    // Nobody can ever have written through a header without a key.
    ctx.log.warn(
      { image: imageSpec(id) },
      'formatting anew an image whose LUKS header has no key: luksFormat was cut off',
    );
  } else if (found.kind !== 'blank') {
    throw foreign(found, device, request);
  }
  encryption.mayFormat();
  ctx.signal.throwIfAborted();
  await luks.format(device, encryption.passphrase.reveal(), encryption.headerBytes);
  await encryption.remember(encryption.headerBytes);
  ctx.log.info({ image: imageSpec(id) }, 'made a LUKS header on a blank image');
}

function refuseUnlessLuks(found: DiskFormat, device: string, request: EncryptedRequest): void {
  if (isLuks(found)) return;
  if (found.kind !== 'blank') throw foreign(found, device, request);
  throw new DriverError(
    'FAILED_PRECONDITION',
    `${device} (${imageSpec(request.id)}) is blank and is to be staged read-only: it was not formatted. Stage it writable once, first.`,
  );
}

function isLuks(found: DiskFormat): boolean {
  return found.kind === 'other' && found.type === 'crypto_LUKS';
}

function foreign(found: DiskFormat, device: string, { id }: EncryptedRequest): DriverError {
  return new DriverError(
    'FAILED_PRECONDITION',
    `image ${imageSpec(id)} belongs to an encrypted volume and holds ${describeFormat(found)} and no LUKS header (seen on ${device}). Nothing was written. ` +
      'Leave encrypted out of the volume attributes if it is not to be encrypted, or use another image',
  );
}
