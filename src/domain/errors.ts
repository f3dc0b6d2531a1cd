/** What went wrong, in the words of gRPC's status codes that CSI gives a meaning (CSI spec, "Error Scheme"). */
export const errorCodes = [
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'OUT_OF_RANGE',
  'FAILED_PRECONDITION',
  'ABORTED',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'RESOURCE_EXHAUSTED',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'UNIMPLEMENTED',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface DriverErrorOptions {
  readonly cause?: unknown;
  /** Facts for the log line; never a secret, never part of the gRPC status. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** The one error that layers hand upwards. Its message says what happened, to which object, and what to do next. */
export class DriverError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, options: DriverErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'DriverError';
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** True for a DriverError that carries this code. */
export function isDriverError(error: unknown, code?: ErrorCode): error is DriverError {
  return error instanceof DriverError && (code === undefined || error.code === code);
}

/** Answers after which an orchestrator repeats its request until another comes; after all others it may forget what it has asked for. */
const passingCodes: readonly ErrorCode[] = ['ABORTED', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED'];

/** Does this end a request for good? What it has begun is then taken away, for nobody may come back for it. */
export function isFinal(error: unknown): boolean {
  return error instanceof DriverError && !passingCodes.includes(error.code);
}
