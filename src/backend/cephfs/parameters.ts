import { DriverError } from '../../domain/errors.js';
import { isFileName, isObjectName } from '../../domain/volume-id.js';
import type { StringMap } from '../backend.js';
import { defaultVolumeNamePrefix } from '../object-name.js';
import { refuseUnknownParameters } from '../parameters.js';
import { nodeParameters, parseNodeParameters } from './node-parameters.js';
import { cephfsParameterNames } from './parameter-reference.js';

/** What a StorageClass says about CephFS volumes, checked. */
export interface CephfsParameters {
  readonly clusterId: string;
  /** undefined: the cluster's own default. */
  readonly fsName: string | undefined;
  /** Data pool of the volume's files; undefined: the one of the directory above. */
  readonly pool: string | undefined;
  /** How many files and directories the volume may hold; undefined: any number. */
  readonly maxFiles: bigint | undefined;
  readonly mode: number;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** Whether the files' data lies in a RADOS namespace of the volume's own. */
  readonly namespaceIsolated: boolean;
  readonly namePrefix: string;
  /** Whether a volume made of a snapshot shows it instead of copying it; undefined: when it may only be read. */
  readonly backingSnapshot: boolean | undefined;
}

/** As `ceph fs subvolume create` in ceph-csi's hands: pods that run as any user can write, kubelet applies fsGroup on top. */
const defaultMode = 0o777;
const maxPrefixBytes = 40;
const maxOwnerId = 2 ** 32 - 2; // chown(2): -1 means "leave it"

/** @throws DriverError INVALID_ARGUMENT naming the parameter and what it may be. */
export function parseParameters(parameters: StringMap): CephfsParameters {
  parseNodeParameters(parameters);
  refuseUnknownParameters(parameters, cephfsParameterNames);
  return {
    clusterId: parameters.clusterID ?? '',
    fsName: objectName(parameters, 'fsName', 'file system name'),
    pool: objectName(parameters, 'pool', 'pool name'),
    maxFiles: parseMaxFiles(parameters.maxFiles),
    mode: parseMode(parameters.mode),
    owner: parseOwner(parameters),
    namespaceIsolated: parseBoolean(parameters, 'namespaceIsolated') ?? false,
    namePrefix: parsePrefix(parameters.volumeNamePrefix ?? defaultVolumeNamePrefix),
    backingSnapshot: parseBoolean(parameters, 'backingSnapshot'),
  };
}

/** What NodeStageVolume gets of the parameters. */
export function nodeContext(parameters: StringMap): StringMap {
  return Object.fromEntries(
    nodeParameters.flatMap((name) => (parameters[name] === undefined ? [] : [[name, parameters[name]]])),
  );
}

function objectName(parameters: StringMap, name: string, what: string): string | undefined {
  const value = parameters[name];
  if (value === undefined || isObjectName(value)) return value;
  throw invalid(
    `parameter ${name} is "${value}", which is no ${what}: it can't be empty or hold / @ or control characters`,
  );
}

function parseMaxFiles(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9][0-9]{0,17}$/.test(text)) return BigInt(text);
  throw invalid(
    `parameter maxFiles is "${text}": write how many files and directories the volume may hold, or leave it out`,
  );
}

function parseMode(text: string | undefined): number {
  if (text === undefined) return defaultMode;
  if (/^0?[0-7]{3,4}$/.test(text)) return Number.parseInt(text, 8);
  throw invalid(`parameter mode is "${text}": write permission bits in octal, e.g. "0770"`);
}

function parseOwner(parameters: StringMap): CephfsParameters['owner'] {
  const { uid, gid } = parameters;
  if (uid === undefined && gid === undefined) return undefined;
  if (uid === undefined || gid === undefined) throw invalid('parameters uid and gid go together: set both or none');
  return { uid: parseId('uid', uid), gid: parseId('gid', gid) };
}

function parseId(name: string, text: string): number {
  const id = Number(text);
  if (/^[0-9]{1,10}$/.test(text) && id <= maxOwnerId) return id;
  throw invalid(`parameter ${name} is "${text}": write a number from 0 to ${maxOwnerId}`);
}

function parseBoolean(parameters: StringMap, name: string): boolean | undefined {
  const text = parameters[name];
  if (text === undefined) return undefined;
  if (text === 'true' || text === 'false') return text === 'true';
  throw invalid(`parameter ${name} is "${text}": write "true" or "false"`);
}

function parsePrefix(prefix: string): string {
  const hidden = prefix.startsWith('.') || prefix.startsWith('_');
  if (prefix === '' || (isFileName(prefix) && !hidden && Buffer.byteLength(prefix) <= maxPrefixBytes)) return prefix;
  throw invalid(
    `volumeNamePrefix takes at most ${maxPrefixBytes} bytes, without / and control characters, and can't start with "." or "_"`,
  );
}

function invalid(message: string): DriverError {
  return new DriverError('INVALID_ARGUMENT', message);
}
