import { type AccessMode, accessModes, type VolumeCapability } from '../../domain/capability.js';
import { csi } from '../gen/csi.js';
import { invalid } from './fields.js';

const secretOption = /^(secret|secretfile|key|keyfile|keyring|pass|passwd|password|passphrase|token|credentials?)$/i;

/** @throws DriverError INVALID_ARGUMENT naming what is missing or can't be. */
export function readCapability(field: string, message: csi.v1.VolumeCapability | undefined): VolumeCapability {
  if (message === undefined) throw invalid(`${field} is missing: say how the volume is to be used`);
  const mode = readMode(field, message.access_mode?.mode);
  switch (message.access_type) {
    case 'block':
      return { mode, access: { type: 'block' } };
    case 'mount': {
      const {
        fs_type: fsType = '',
        mount_flags: mountFlags = [],
        volume_mount_group: group = '',
      } = message.mount ?? {};
      if (group !== '')
        throw invalid(
          `${field}.mount.volume_mount_group is set, which this driver does not advertise: use fsGroup (fsGroupPolicy File)`,
        );
      if (!/^[a-z0-9]*$/.test(fsType))
        throw invalid(`${field}.mount.fs_type "${fsType}" is no file system type: use ext4 or xfs`);
      mountFlags.forEach((flag, i) => {
        checkMountFlag(`${field}.mount.mount_flags[${i}]`, flag);
      });
      return { mode, access: { type: 'mount', fsType, mountFlags } };
    }
    case 'none':
    case undefined:
    default:
      throw invalid(`${field} sets neither mount nor block: choose one`);
  }
}

/** @throws DriverError INVALID_ARGUMENT when there is none. */
export function readCapabilities(field: string, messages: readonly csi.v1.VolumeCapability[]): VolumeCapability[] {
  if (messages.length === 0) throw invalid(`${field} is empty: name at least one capability`);
  return messages.map((message, i) => readCapability(`${field}[${i}]`, message));
}

function readMode(field: string, mode: csi.v1.VolumeCapability.AccessMode.Mode | undefined): AccessMode {
  const name = mode === undefined ? undefined : csi.v1.VolumeCapability.AccessMode.Mode[mode];
  const known = accessModes.find((one) => one === name);
  if (known === undefined)
    throw invalid(`${field}.access_mode is missing or unknown: use one of ${accessModes.join(', ')}`);
  return known;
}

/** Flags end up in an argv and in the mount table: one flag each, and nothing secret. */
function checkMountFlag(field: string, flag: string): void {
  const [name = ''] = flag.split('=');
  if (secretOption.test(name))
    throw invalid(
      `${field} carries a secret ("${name}=..."): put it into the Secret, mount flags are visible to every user of the node`,
    );
  if (flag.includes(',')) throw invalid(`${field} holds a comma: write one flag per entry`);
  if (flag === '' || flag.startsWith('-') || /[^\x21-\x7e]/.test(flag))
    throw invalid(`${field} is no mount flag: write e.g. "noatime", without blanks and dashes`);
}
