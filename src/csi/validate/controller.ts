import type { CreateVolumeInput } from '../../backend/backend.js';
import type {
  DeleteVolumeInput,
  ExpandVolumeInput,
  GetCapacityInput,
  ListInput,
  ValidateInput,
} from '../../controller/controller-service.js';
import type { ModifyVolumeInput } from '../../controller/modify-volume.js';
import type { CapacityRange } from '../../domain/capacity.js';
import { parseVolumeId } from '../../domain/volume-id.js';
import type { csi } from '../gen/csi.js';
import { readCapabilities } from './capabilities.js';
import { readCredentials } from './credentials.js';
import { readPage, readSource } from './snapshots.js';
import { invalid, readInt64, readMap, requireId, requireName } from './fields.js';
import { readRequirement, readSegments } from './topology.js';

export function readCreateVolume(request: csi.v1.CreateVolumeRequest): CreateVolumeInput {
  const name = requireName(request.name);
  return {
    name,
    capacity: readRange(request.capacity_range),
    capabilities: readCapabilities('volume_capabilities', request.volume_capabilities),
    parameters: readMap('parameters', request.parameters),
    mutableParameters: readMap('mutable_parameters', request.mutable_parameters),
    credentials: readCredentials(request.secrets),
    source: readSource(request.volume_content_source),
    requirement: readRequirement(request.accessibility_requirements),
  };
}

export function readDeleteVolume(request: csi.v1.DeleteVolumeRequest): DeleteVolumeInput {
  return { id: parseVolumeId(requireId(request.volume_id)), credentials: readCredentials(request.secrets) };
}

export function readExpandVolume(request: csi.v1.ControllerExpandVolumeRequest): ExpandVolumeInput {
  const idText = requireId(request.volume_id);
  const range = readRange(request.capacity_range);
  if (range === undefined)
    throw invalid('capacity_range is missing: say by required_bytes how large the volume is to be');
  return { idText, id: parseVolumeId(idText), range, credentials: readCredentials(request.secrets) };
}

export function readModifyVolume(request: csi.v1.ControllerModifyVolumeRequest): ModifyVolumeInput {
  const idText = requireId(request.volume_id);
  return {
    idText,
    id: parseVolumeId(idText),
    mutableParameters: readMap('mutable_parameters', request.mutable_parameters),
    credentials: readCredentials(request.secrets),
  };
}

export function readValidate(request: csi.v1.ValidateVolumeCapabilitiesRequest): ValidateInput {
  return {
    idText: requireId(request.volume_id),
    id: parseVolumeId(request.volume_id),
    capabilities: readCapabilities('volume_capabilities', request.volume_capabilities),
    context: readMap('volume_context', request.volume_context),
    credentials: readCredentials(request.secrets),
  };
}

export function readGetCapacity(request: csi.v1.GetCapacityRequest): GetCapacityInput {
  const { volume_capabilities: capabilities, accessible_topology: from } = request;
  return {
    parameters: readMap('parameters', request.parameters),
    capabilities: capabilities.length === 0 ? [] : readCapabilities('volume_capabilities', capabilities),
    from: from === undefined ? undefined : readSegments('accessible_topology', from),
  };
}

export function readListVolumes(request: csi.v1.ListVolumesRequest): ListInput {
  return readPage(request);
}

function readRange(range: csi.v1.CapacityRange | undefined): CapacityRange | undefined {
  if (range === undefined) return undefined;
  return { requiredBytes: readInt64(range.required_bytes), limitBytes: readInt64(range.limit_bytes) };
}
