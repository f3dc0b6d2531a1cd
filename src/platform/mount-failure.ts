import type { MountError } from 'mount-utils-ts';
import { DriverError, type ErrorCode } from '../domain/errors.js';

const codes: Readonly<Record<MountError['kind'], ErrorCode>> = {
  FilesystemMismatch: 'FAILED_PRECONDITION',
  HasFilesystemErrors: 'FAILED_PRECONDITION',
  UnformattedReadOnly: 'FAILED_PRECONDITION',
  FormatFailed: 'INTERNAL',
  GetDiskFormatFailed: 'INTERNAL',
  Unknown: 'INTERNAL',
};

/** A MountError in the driver's own terms; anything else as it is. Its message says what to do already. */
export function asDriverError(error: unknown): unknown {
  if (!isMountError(error)) return error;
  const ended = error.failure === 'timed-out' || error.failure === 'aborted';
  return new DriverError(ended ? 'ABORTED' : codes[error.kind], error.message, { cause: error });
}

function isMountError(error: unknown): error is MountError {
  return error instanceof Error && error.name === 'MountError';
}
