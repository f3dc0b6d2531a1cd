import type { StringMap } from '../backend/backend.js';
import { DriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import { backendForId } from './choose-backend.js';
import type { ControllerDependencies, ValidateInput } from './controller-service.js';

/** @throws DriverError NOT_FOUND when there is no such volume. */
export async function validateVolumeCapabilities(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: ValidateInput,
): Promise<string | undefined> {
  const { id, idText, credentials } = input;
  const backend = id === undefined ? undefined : backendForId(deps.backends, id);
  const volume = id === undefined ? undefined : await backend?.findVolume(ctx, id, credentials);
  if (backend === undefined || volume === undefined) {
    throw new DriverError('NOT_FOUND', `volume "${idText}" does not exist`);
  }
  const objections = input.capabilities.map((capability) => backend.objection(capability, volume.id));
  return objections.find((objection) => objection !== undefined) ?? contextObjection(volume.context, input.context);
}

/** A volume context is ours and immutable: one that says something else belongs to another volume. */
function contextObjection(actual: StringMap, given: StringMap): string | undefined {
  const other = Object.keys(given).find((key) => given[key] !== actual[key]);
  return other === undefined ? undefined : `volume_context: "${other}" is not what CreateVolume gave out`;
}
