import { DriverError } from '../../domain/errors.js';
import { parseQuantity } from '../../domain/quantity.js';
import { isObjectName } from '../../domain/volume-id.js';
import type { StringMap } from '../backend.js';
import { refuseUnknownParameters } from '../parameters.js';
import type { CephfsParameters } from './parameters.js';

export const cephfsMutableParameterNames = ['maxFiles', 'layoutPool'] as const;

/** What a VolumeAttributesClass says about a CephFS volume, checked. */
export interface MutableParameters {
  /** 0 = any number; undefined leaves it as it is. */
  readonly maxFiles: bigint | undefined;
  /** Data pool of files that are made from now on. */
  readonly layoutPool: string | undefined;
}

/** @throws DriverError INVALID_ARGUMENT naming the parameter and what it may be. */
export function parseMutableParameters(parameters: StringMap): MutableParameters {
  refuseUnknownParameters(parameters, cephfsMutableParameterNames, 'mutable parameter');
  const { layoutPool } = parameters;
  if (layoutPool !== undefined && !isObjectName(layoutPool)) {
    throw invalid(
      `mutable parameter layoutPool is "${layoutPool}", which is no pool name: it can't be empty or hold / @ or control characters`,
    );
  }
  return { maxFiles: parseMaxFiles(parameters.maxFiles), layoutPool };
}

/** For a new volume: they count before the StorageClass's (CSI spec, CreateVolumeRequest.mutable_parameters). */
export function withMutableParameters(parameters: CephfsParameters, mutable: MutableParameters): CephfsParameters {
  const { maxFiles = parameters.maxFiles, layoutPool = parameters.pool } = mutable;
  return { ...parameters, maxFiles: maxFiles === 0n ? undefined : maxFiles, pool: layoutPool };
}

function parseMaxFiles(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const value = parseQuantity(text);
  if (value !== undefined) return value;
  throw invalid(
    `mutable parameter maxFiles is "${text}": write how many files and directories the volume may hold, as a whole number or as 10k and the like; 0 for any number`,
  );
}

function invalid(message: string): DriverError {
  return new DriverError('INVALID_ARGUMENT', message);
}
