import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import { type Mapper, type MapperKind, type mounters } from './mapper.js';

type Mounter = (typeof mounters)[number];

const former: Readonly<Partial<Record<Mounter, MapperKind>>> = { rbd: 'krbd', 'rbd-nbd': 'nbd' };

/**
 * `auto`: the first mapper that this node and this image's features allow, saying why the others were passed over. A named
 * mapper is the one that is used, or an error: never a silent fallback.
 * @throws DriverError FAILED_PRECONDITION with each mapper's objection.
 */
export async function chooseMapper(
  ctx: CallContext,
  mappers: readonly Mapper[],
  mounter: string,
  features: bigint,
  isEncrypted = false,
): Promise<Mapper> {
  const wanted = former[mounter as Mounter] ?? mounter;
  const candidates = wanted === 'auto' ? mappers : mappers.filter((mapper) => mapper.kind === wanted);
  const objections: string[] = [];
  for (const mapper of candidates) {
    const objection = await mapper.objection(features, isEncrypted);
    if (objection === undefined) {
      if (objections.length > 0) ctx.log.info({ mapper: mapper.kind, passedOver: objections }, 'mapper chosen');
      return mapper;
    }
    objections.push(`${mapper.kind}: ${objection}`);
  }
  throw new DriverError(
    'FAILED_PRECONDITION',
    `this node can't map the image with mounter "${mounter}": ${objections.join('; ')}${wanted === 'auto' ? '' : '; or set mounter to "auto"'}`,
  );
}
