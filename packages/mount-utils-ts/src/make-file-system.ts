import { succeeded, type Exec } from './exec.js';
import { MountError, programError } from './mount-error.js';

/** Long enough for any size: a mkfs that is stopped halfway leaves a device that is neither blank nor whole. */
const FORMAT_TIMEOUT_MS = 30 * 60_000;

/** The name becomes part of a program's name, so it is held to what file system names look like. */
const FS_TYPE = /^[a-z0-9][a-z0-9_-]{0,31}$/;

/** Throws MountError of kind FormatFailed for a name that cannot be a file system's. */
export function assertFsType(fsType: string, device: string): void {
  if (FS_TYPE.test(fsType)) return;
  throw new MountError(
    'FormatFailed',
    `${JSON.stringify(fsType)} is not a file system type: ${device} was left untouched`,
  );
}

/**
 * The arguments of mkfs.TYPE(8). The device is not discarded by default, as it is new or meant to stay allocated;
 * ext4 gets no blocks reserved for root. `formatOptions` come last and win.
 */
export function mkfsArguments(fsType: string, device: string, formatOptions: readonly string[]): string[] {
  switch (fsType) {
    case 'ext2':
    case 'ext3':
    case 'ext4': {
      // mke2fs heeds only its last -E: a caller who gives one says all of it.
      const callerSays = formatOptions.some((option) => option.startsWith('-E'));
      return ['-F', '-m0', ...(callerSays ? [] : ['-E', 'nodiscard']), ...formatOptions, device];
    }
    case 'xfs':
      return ['-f', '-K', ...formatOptions, device];
    case 'btrfs':
      return ['-f', '-K', ...formatOptions, device];
    default:
      return [...formatOptions, device];
  }
}

/** Formats `device`, whatever is on it. Not abortable. Throws MountError of kind FormatFailed. */
export async function makeFileSystem(
  exec: Exec,
  device: string,
  fsType: string,
  formatOptions: readonly string[],
): Promise<void> {
  assertFsType(fsType, device);
  const program = `mkfs.${fsType}`;
  const result = await exec(program, mkfsArguments(fsType, device, formatOptions), { timeoutMs: FORMAT_TIMEOUT_MS });
  if (succeeded(result)) return;
  throw programError({
    kind: 'FormatFailed',
    what: `could not make a file system of type ${fsType} on ${device}`,
    program,
    result,
    advice:
      result.failure === 'not-found'
        ? `Install the package that holds ${program}, or ask for another file system.`
        : 'Check the format options and the size of the volume.',
  });
}
