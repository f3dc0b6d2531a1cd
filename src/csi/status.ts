import { Metadata, status } from '@grpc/grpc-js';
import { DriverError, type ErrorCode } from '../domain/errors.js';

/** The only place where an error becomes a gRPC status. */
export const grpcStatus = {
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  NOT_FOUND: status.NOT_FOUND,
  ALREADY_EXISTS: status.ALREADY_EXISTS,
  OUT_OF_RANGE: status.OUT_OF_RANGE,
  FAILED_PRECONDITION: status.FAILED_PRECONDITION,
  ABORTED: status.ABORTED,
  UNAVAILABLE: status.UNAVAILABLE,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  CANCELLED: status.CANCELLED,
  RESOURCE_EXHAUSTED: status.RESOURCE_EXHAUSTED,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  UNIMPLEMENTED: status.UNIMPLEMENTED,
  INTERNAL: status.INTERNAL,
} satisfies Record<ErrorCode, status>;

/** What goes over the wire: a code and a sentence; CSI wants the details empty. */
export interface StatusReply {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** An error that is none of ours says nothing of its inside: the request id leads to the log. */
export function toStatus(error: unknown, requestId: string): StatusReply {
  const known = error instanceof DriverError;
  return {
    code: known ? grpcStatus[error.code] : status.INTERNAL,
    details: known ? error.message : `an unexpected error; the driver's log has it under request id ${requestId}`,
    metadata: new Metadata(),
  };
}
