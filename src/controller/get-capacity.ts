import type { Capacity } from '../backend/backend.js';
import type { CallContext } from '../platform/call-context.js';
import { backendForParameters } from './choose-backend.js';
import type { ControllerDependencies, GetCapacityInput } from './controller-service.js';

/** How much a volume of these parameters could still hold; nothing for a use that isn't possible (CSI spec, GetCapacity). */
export async function getCapacity(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: GetCapacityInput,
): Promise<Capacity> {
  const backend = backendForParameters(deps.backends, input.parameters);
  const impossible = input.capabilities.some((capability) => backend.objection(capability) !== undefined);
  const capacity = await backend.capacity(ctx, input.parameters, input.from);
  return impossible ? { ...capacity, availableBytes: 0n } : capacity;
}
