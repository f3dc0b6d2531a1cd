import { DriverError } from '../../domain/errors.js';
import { isObjectName } from '../../domain/volume-id.js';
import type { StringMap } from '../backend.js';
import { defaultVolumeNamePrefix } from '../object-name.js';
import { refuseUnknownParameters } from '../parameters.js';
import { type ConstrainedPool, constrainedPoolsParameter, parseConstrainedPools } from './constrained-pools.js';
import { headerBytesFor, parseEncrypted } from './encryption.js';
import { defaultFeatures, parseFeatures } from './features.js';
import { mounters } from './mapper.js';
import { type RbdParameterName, rbdParameterNames } from './parameter-reference.js';

/** What a StorageClass says about RBD volumes, checked. */
export interface RbdParameters {
  readonly clusterId: string;
  readonly pool: string;
  /** Counts where it is not empty: `pool` is then for requests that say nothing of topology, if it is written. */
  readonly constrainedPools: readonly ConstrainedPool[];
  /** `pool` as it is written beside them. */
  readonly ownPool: string | undefined;
  readonly dataPool: string | undefined;
  readonly features: bigint;
  readonly order: number | undefined;
  readonly stripeUnitBytes: bigint | undefined;
  readonly stripeCount: bigint | undefined;
  /** What a LUKS header takes of the image; 0n for a volume that isn't to be encrypted. */
  readonly headerBytes: bigint;
  readonly namePrefix: string;
}

/** Handed on to NodeStageVolume in the volume context. */
export const nodeParameters = [
  'mounter',
  'mapOptions',
  'mkfsOptions',
  'encrypted',
] as const satisfies readonly RbdParameterName[];

/** rbd(8): `rbd` is the pool of every command that names none. */
const defaultPool = 'rbd';

/** @throws DriverError INVALID_ARGUMENT naming the parameter and what it may be. */
export function parseParameters(parameters: StringMap): RbdParameters {
  refuseUnknownParameters(parameters, rbdParameterNames);
  const layout = parseLayout(parameters);
  checkNodeParameters(parameters);
  const constrainedPools = parseConstrainedPools(parameters[constrainedPoolsParameter]);
  const isConstrained = constrainedPools.length > 0;
  if (isConstrained && parameters.dataPool !== undefined && parameters.pool === undefined) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `parameter dataPool belongs to parameter pool, which is missing: name the data pools in ${constrainedPoolsParameter}`,
    );
  }
  return {
    clusterId: parameters.clusterID ?? '',
    pool: objectName(parameters, 'pool') ?? defaultPool,
    constrainedPools,
    ownPool: isConstrained ? parameters.pool : undefined,
    dataPool: objectName(parameters, 'dataPool'),
    features: parseFeatures(parameters.imageFeatures ?? defaultFeatures),
    namePrefix: parsePrefix(parameters.volumeNamePrefix ?? defaultVolumeNamePrefix),
    ...layout,
    headerBytes: parseEncrypted(parameters) ? headerBytesFor(layout) : 0n,
  };
}

/** What NodeStageVolume gets of the parameters. */
export function nodeContext(parameters: StringMap): StringMap {
  return Object.fromEntries(
    nodeParameters.flatMap((name) => (parameters[name] === undefined ? [] : [[name, parameters[name]]])),
  );
}

/** Also for a volume context that was written by hand. @throws DriverError INVALID_ARGUMENT. */
export function checkNodeParameters(parameters: StringMap): void {
  const mounter = parameters.mounter;
  if (mounter !== undefined && !(mounters as readonly string[]).includes(mounter)) {
    throw new DriverError('INVALID_ARGUMENT', `mounter is "${mounter}": use ${mounters.join(', ')}`);
  }
  parseEncrypted(parameters);
  if (/[^\x21-\x7e]/.test(parameters.mapOptions ?? '')) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      'mapOptions holds white space or control characters: write options separated by commas only',
    );
  }
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(parameters.mkfsOptions ?? '')) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      'mkfsOptions holds control characters: write options separated by blanks',
    );
  }
}

function objectName(parameters: StringMap, name: string): string | undefined {
  const value = parameters[name];
  if (value === undefined || isObjectName(value)) return value;
  throw new DriverError(
    'INVALID_ARGUMENT',
    `parameter ${name} is "${value}", which is no pool name: it can't be empty or hold / @ or control characters`,
  );
}

function parsePrefix(prefix: string): string {
  if (prefix === '' || (isObjectName(prefix) && Buffer.byteLength(prefix) <= 40)) return prefix;
  throw new DriverError(
    'INVALID_ARGUMENT',
    'volumeNamePrefix takes at most 40 bytes, without / @ and control characters',
  );
}

function parseLayout(parameters: StringMap): Pick<RbdParameters, 'order' | 'stripeUnitBytes' | 'stripeCount'> {
  const objectBytes = positive(parameters, 'objectSize');
  const stripeUnitBytes = positive(parameters, 'stripeUnit');
  const stripeCount = positive(parameters, 'stripeCount');
  const order = objectBytes === undefined ? undefined : Math.log2(Number(objectBytes));
  // librbd, image/CreateRequest.cc validate_order: 12 to 25.
  if (order !== undefined && (!Number.isInteger(order) || order < 12 || order > 25)) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      'objectSize must be a power of two from 4096 (4 KiB) to 33554432 (32 MiB), in bytes',
    );
  }
  if ((stripeUnitBytes === undefined) !== (stripeCount === undefined)) {
    throw new DriverError('INVALID_ARGUMENT', 'stripeUnit and stripeCount go together: set both or none');
  }
  if (stripeUnitBytes !== undefined && (objectBytes ?? 1n << 22n) % stripeUnitBytes !== 0n) {
    throw new DriverError('INVALID_ARGUMENT', 'stripeUnit must divide objectSize (4194304 unless set)');
  }
  return { order, stripeUnitBytes, stripeCount };
}

function positive(parameters: StringMap, name: string): bigint | undefined {
  const text = parameters[name];
  if (text === undefined) return undefined;
  if (/^[1-9][0-9]{0,15}$/.test(text)) return BigInt(text);
  throw new DriverError(
    'INVALID_ARGUMENT',
    `parameter ${name} is "${text}": write a positive whole number, in bytes where it is a size`,
  );
}
