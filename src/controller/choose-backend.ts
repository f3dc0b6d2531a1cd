import type { ControllerBackend, StringMap } from '../backend/backend.js';
import type { BackendKind } from '../domain/backend-kind.js';
import { DriverError } from '../domain/errors.js';
import type { VolumeId } from '../domain/volume-id.js';

type Backends = ReadonlyMap<BackendKind, ControllerBackend>;

/** By the parameter `backend`; without it the only one that is enabled. @throws DriverError INVALID_ARGUMENT. */
export function backendForParameters(backends: Backends, parameters: StringMap): ControllerBackend {
  const wanted = parameters.backend;
  const enabled = [...backends.values()];
  const [first] = enabled;
  if (wanted === undefined && first !== undefined) return backends.get('rbd') ?? first;
  const found = enabled.find((backend) => backend.kind === wanted);
  if (found !== undefined) return found;
  const names = enabled.map((backend) => backend.kind).join(', ');
  throw new DriverError(
    'INVALID_ARGUMENT',
    `parameter backend is "${wanted ?? ''}": this driver serves ${names} (see --backends)`,
  );
}

/** @throws DriverError FAILED_PRECONDITION when the volume's backend is not enabled. */
export function backendForId(backends: Backends, id: VolumeId): ControllerBackend {
  const found = backends.get(id.backend);
  if (found !== undefined) return found;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `the volume id is one of backend "${id.backend}", which this driver does not serve: enable it by --backends`,
  );
}
