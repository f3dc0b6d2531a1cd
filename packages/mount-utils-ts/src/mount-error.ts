import type { ExecFailure, ExecResult } from './exec.js';

export type MountErrorKind =
  | 'FilesystemMismatch'
  | 'HasFilesystemErrors'
  | 'UnformattedReadOnly'
  | 'FormatFailed'
  | 'GetDiskFormatFailed'
  | 'Unknown';

export interface MountErrorDetails {
  program?: string | undefined;
  exitCode?: number | null | undefined;
  failure?: ExecFailure | undefined;
  cause?: unknown;
}

/** How much of a program's stderr an error message repeats, in characters, counted from its end. */
const STDERR_TAIL_CHARS = 500;

/** The only error this package makes itself; errors of node:fs pass through unchanged. */
export class MountError extends Error {
  override readonly name = 'MountError';
  readonly kind: MountErrorKind;
  /** The program that failed, if one did. */
  readonly program: string | undefined;
  readonly exitCode: number | null | undefined;
  /** Set when the program did not end by itself: after `timed-out` or `aborted` the outcome is not known. */
  readonly failure: ExecFailure | undefined;

  constructor(kind: MountErrorKind, message: string, details: MountErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.program = details.program;
    this.exitCode = details.exitCode;
    this.failure = details.failure;
  }
}

export interface ProgramFailure {
  kind: MountErrorKind;
  /** What could not be done, to which device or path. */
  what: string;
  program: string;
  result: ExecResult;
  /** What the reader can do about it: a whole sentence. */
  advice?: string | undefined;
  /** Words that must not appear in the message. */
  secrets?: readonly string[];
}

/** A MountError for a program that failed: what happened, the end of its stderr, and what to do. */
export function programError(failed: ProgramFailure): MountError {
  const { kind, what, program, result, advice } = failed;
  const said = tail(redact(result.stderr.trim(), failed.secrets ?? []));
  const parts = [`${what}: ${program} ${howItEnded(result)}`];
  if (said !== '') parts.push(`: ${said}`);
  const message = parts.join('');
  return new MountError(kind, advice === undefined ? message : `${message.replace(/[.\s]+$/, '')}. ${advice}`, {
    program,
    exitCode: result.exitCode,
    failure: result.failure,
  });
}

const ENDINGS: Readonly<Record<ExecFailure, string>> = {
  'not-found': 'is not installed on this machine',
  'timed-out': 'did not end in time and was stopped',
  aborted: 'was stopped because the request was given up',
  killed: 'was killed',
};

function howItEnded(result: ExecResult): string {
  if (result.failure !== undefined) return ENDINGS[result.failure];
  return result.exitCode === null ? ENDINGS.killed : `exited with ${result.exitCode}`;
}

/** Redaction comes before cutting, or half a secret at the cut would pass. */
function redact(text: string, secrets: readonly string[]): string {
  // The longest first: a secret that contains another must not survive in part.
  const longestFirst = secrets.filter((secret) => secret !== '').sort((a, b) => b.length - a.length);
  return longestFirst.reduce((redacted, secret) => redacted.replaceAll(secret, '***'), text);
}

function tail(text: string): string {
  return text.length <= STDERR_TAIL_CHARS ? text : `...${text.slice(-STDERR_TAIL_CHARS)}`;
}
