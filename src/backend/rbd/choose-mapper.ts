import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import { type MappedContent, type Mapper, type MapperKind, mapperKinds, type mounters } from './mapper.js';

type Mounter = (typeof mounters)[number];

const former: Readonly<Partial<Record<Mounter, MapperKind>>> = { rbd: 'krbd', 'rbd-nbd': 'nbd' };

/** The mappers that a StorageClass's `mounter` may come to. */
export function kindsOf(mounter: string): readonly MapperKind[] {
  return mounter === 'auto'
    ? mapperKinds
    : mapperKinds.filter((kind) => kind === (former[mounter as Mounter] ?? mounter));
}

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
  content: MappedContent = 'plain',
): Promise<Mapper> {
  const wanted = kindsOf(mounter);
  const candidates = mappers.filter((mapper) => wanted.includes(mapper.kind));
  const objections: string[] = [];
  for (const mapper of candidates) {
    const objection = await mapper.objection(features, content);
    if (objection === undefined) {
      if (objections.length > 0) ctx.log.info({ mapper: mapper.kind, passedOver: objections }, 'mapper chosen');
      return mapper;
    }
    objections.push(`${mapper.kind}: ${objection}`);
  }
  throw new DriverError(
    'FAILED_PRECONDITION',
    `this node can't map the image with mounter "${mounter}": ${objections.join('; ')}${mounter === 'auto' ? '' : '; or set mounter to "auto"'}`,
  );
}
