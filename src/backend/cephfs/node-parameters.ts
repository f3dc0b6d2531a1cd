import { DriverError } from '../../domain/errors.js';
import type { StringMap } from '../backend.js';
import type { CephfsParameterName } from './parameter-reference.js';
import { type MounterKind, type MounterName, mounters } from './mounter.js';

/** Parameters of a StorageClass that are handed on to NodeStageVolume in the volume context. */
export const nodeParameters = [
  'mounter',
  'kernelMountOptions',
  'fuseMountOptions',
] as const satisfies readonly CephfsParameterName[];

export interface NodeParameters {
  readonly mounter: MounterName;
  /** What mount(8) and ceph-fuse(8) get behind `-o`. */
  readonly options: Readonly<Record<MounterKind, readonly string[]>>;
}

/** What mount.ceph(8) would read the key from. */
const secretOptions = ['secret', 'secretfile', 'key', 'keyfile', 'keyring'];

/** What says which volume is mounted, and as whom: it comes from the volume id, the Secret and the driver's configuration. */
const ownOptions = [
  'name',
  'id',
  'fs',
  'mds_namespace',
  'client_fs',
  'client_mds_namespace',
  'client_mountpoint',
  'fsname',
  'subtype',
  'fsid',
  'mon_addr',
  'mon_host',
  'conf',
];

/** Also for a volume context that was written by hand. @throws DriverError INVALID_ARGUMENT. */
export function parseNodeParameters(parameters: StringMap): NodeParameters {
  if (parameters.encrypted !== undefined) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      'encrypted is for backend "rbd": CephFS volumes are not encrypted by this driver; leave it out, or use backend "rbd"',
    );
  }
  const text = parameters.mounter ?? 'auto';
  const mounter = mounters.find((name) => name === text);
  if (mounter === undefined) {
    throw new DriverError('INVALID_ARGUMENT', `mounter is "${text}": use ${mounters.join(', ')}`);
  }
  return {
    mounter,
    options: {
      kernel: optionsOf(parameters, 'kernelMountOptions'),
      fuse: optionsOf(parameters, 'fuseMountOptions'),
    },
  };
}

/** What NodeStageVolume gets of the parameters. */
export function nodeContext(parameters: StringMap): StringMap {
  return Object.fromEntries(
    nodeParameters.flatMap((name) => (parameters[name] === undefined ? [] : [[name, parameters[name]]])),
  );
}

/** @param field what the options are called where the user wrote them. @throws DriverError INVALID_ARGUMENT. */
export function checkMountOptions(field: string, options: readonly string[]): void {
  for (const option of options) {
    const [name = ''] = option.split('=');
    if (secretOptions.includes(name)) {
      throw new DriverError(
        'INVALID_ARGUMENT',
        `${field} carries a secret ("${name}=..."): put the key into the Secret that csi.storage.k8s.io/node-stage-secret-name names`,
      );
    }
    if (ownOptions.includes(name)) {
      throw new DriverError(
        'INVALID_ARGUMENT',
        `${field} sets "${name}", which Cuttle sets itself from the volume id, the Secret and its configuration: leave it out`,
      );
    }
  }
}

function optionsOf(parameters: StringMap, name: (typeof nodeParameters)[number]): string[] {
  const text = parameters[name] ?? '';
  const options = text.split(',').filter((option) => option !== '');
  // The names are looked at first: what follows a blank may be a secret, and no message repeats a value.
  checkMountOptions(name, options);
  if (/[^\x21-\x7e]/.test(text) || options.some((option) => option.startsWith('-'))) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `${name} holds white space, control characters or a dash at a start: write what follows -o, separated by commas only`,
    );
  }
  return options;
}
