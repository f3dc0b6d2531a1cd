import { DriverError } from '../../domain/errors.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CreateVolumeInput, Volume } from '../backend.js';
import { firstDifference, type VolumeRecord } from '../volume-record.js';
import type { Limits } from './mutable-parameters.js';
import { nodeContext, type RbdParameters } from './parameters.js';

/** A CreateVolume request, checked, with what follows from it. */
export interface CreateRequest {
  readonly input: CreateVolumeInput;
  readonly id: RbdVolumeId;
  /** Of the volume; its image has parameters.headerBytes more. */
  readonly sizeBytes: bigint;
  readonly parameters: RbdParameters;
  readonly limits: Limits;
  readonly record: VolumeRecord;
}

/** @throws DriverError ALREADY_EXISTS naming what differs. */
export function refuseOtherRequest(recorded: VolumeRecord, request: CreateRequest): void {
  const difference = firstDifference(recorded, request.record);
  if (difference !== undefined) throw conflict(request, difference);
}

export function conflict(request: CreateRequest, why: string): DriverError {
  return new DriverError(
    'ALREADY_EXISTS',
    `volume "${request.input.name}" exists already as image ${request.id.pool}/${request.id.image} and does not fit this request: ${why}; use another name or the same request`,
  );
}

export function volumeOf(request: CreateRequest, sizeBytes: bigint): Volume {
  const { id, record } = request;
  return { id, sizeBytes, context: nodeContext(request.input.parameters), reach: record.place?.reach };
}
