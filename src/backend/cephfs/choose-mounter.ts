import { DriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import type { CephfsMounter, MounterName } from './mounter.js';

/**
 * `auto`: the first mounter that this node allows, saying why the others were passed over. A named mounter is the one that is
 * used, or an error: never a silent fallback.
 * @throws DriverError FAILED_PRECONDITION with each mounter's objection.
 */
export async function chooseMounter(
  ctx: CallContext,
  mounters: readonly CephfsMounter[],
  wanted: MounterName,
): Promise<CephfsMounter> {
  const candidates = wanted === 'auto' ? mounters : mounters.filter((mounter) => mounter.kind === wanted);
  const objections: string[] = [];
  for (const mounter of candidates) {
    const objection = await mounter.objection();
    if (objection === undefined) {
      if (objections.length > 0) ctx.log.info({ mounter: mounter.kind, passedOver: objections }, 'mounter chosen');
      return mounter;
    }
    objections.push(`${mounter.kind}: ${objection}`);
  }
  throw new DriverError(
    'FAILED_PRECONDITION',
    `this node can't mount the volume with mounter "${wanted}": ${objections.join('; ')}${wanted === 'auto' ? '' : '; or set mounter to "auto"'}`,
  );
}
