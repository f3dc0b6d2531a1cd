import { DriverError, type ErrorCode } from '../domain/errors.js';
import { constants } from 'node:os';

/** errno(3) values that Ceph's libraries return, negated there, positive here. */
export const errno = {
  ...constants.errno,
  /** Ceph's own name for a blocklisted client, the number of ESHUTDOWN (include/rados.h, EBLOCKLISTED). */
  EBLOCKLISTED: 108,
} as const;

const names = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));

/** A failed call to Ceph: callers decide on `errno`, never on the text. */
export class CephError extends DriverError {
  readonly errno: number;

  constructor(code: ErrorCode, message: string, errnoValue: number) {
    super(code, message, { details: { errno: errnoValue } });
    this.name = 'CephError';
    this.errno = errnoValue;
  }
}

export function isCephError(error: unknown, errnoValue?: number): error is CephError {
  return error instanceof CephError && (errnoValue === undefined || error.errno === errnoValue);
}

/** Where a call went and what it was for, for the sentence. */
export interface CephCall {
  readonly clusterId: string;
  readonly monitors: string;
  readonly user: string;
  /** What was being done, e.g. `create image rbd/csi-vol-1`. */
  readonly doing: string;
  /** What errno values mean for this kind of call, where that differs from RADOS and RBD. */
  readonly meanings?: ReadonlyMap<number, Meaning>;
}

export interface Meaning {
  readonly code: ErrorCode;
  readonly sentence: (call: CephCall) => string;
}

const unreachable: Meaning = {
  code: 'UNAVAILABLE',
  sentence: (call) =>
    `no answer in time from the monitors at ${call.monitors} or from an OSD: check that they are up and reachable (ceph -s); the request may be repeated`,
};

const meanings = new Map<number, Meaning>([
  [errno.ENOENT, { code: 'NOT_FOUND', sentence: () => 'it does not exist' }],
  [errno.EEXIST, { code: 'ALREADY_EXISTS', sentence: () => 'it exists already' }],
  [errno.EBUSY, { code: 'FAILED_PRECONDITION', sentence: () => 'it is in use: unmap it everywhere first' }],
  [errno.ENOTEMPTY, { code: 'FAILED_PRECONDITION', sentence: () => 'it still has snapshots or clones' }],
  [
    errno.ENOSPC,
    {
      code: 'RESOURCE_EXHAUSTED',
      sentence: () => 'the cluster or the pool is full: add OSDs, raise the pool quota or free space',
    },
  ],
  [
    errno.EDQUOT,
    {
      code: 'RESOURCE_EXHAUSTED',
      sentence: () => 'the pool quota is reached: raise it (ceph osd pool set-quota) or free space',
    },
  ],
  [errno.EACCES, { code: 'PERMISSION_DENIED', sentence: refused }],
  [errno.EPERM, { code: 'PERMISSION_DENIED', sentence: refused }],
  [
    errno.EROFS,
    {
      code: 'FAILED_PRECONDITION',
      sentence: () =>
        "it can't be written: another client holds its lock (one that was cut off loses it after 30 s), or it is a mirror's copy",
    },
  ],
  [errno.EINVAL, { code: 'INVALID_ARGUMENT', sentence: () => 'Ceph refuses the arguments as invalid' }],
  [errno.ERANGE, { code: 'INVALID_ARGUMENT', sentence: () => 'a value is outside of what Ceph allows' }],
  [errno.EOPNOTSUPP, { code: 'FAILED_PRECONDITION', sentence: () => 'this cluster does not support it' }],
  [errno.ETIMEDOUT, unreachable],
  [errno.ECONNREFUSED, unreachable],
  [errno.EHOSTUNREACH, unreachable],
  [errno.ENOTCONN, unreachable],
  [
    errno.EBLOCKLISTED,
    {
      code: 'UNAVAILABLE',
      sentence: () =>
        'this client is on the blocklist (ceph osd blocklist ls): a new connection is made, repeat the request',
    },
  ],
]);

function refused(call: CephCall): string {
  return `client.${call.user} may not do this: check its capabilities (ceph auth get client.${call.user}); an RBD user needs mon 'profile rbd' and osd 'profile rbd pool=...'`;
}

/** Turns a library's negative return value into the error that says what happened, to which object, and what to do. */
export function cephError(returned: number, call: CephCall): CephError {
  const value = Math.abs(returned);
  const meaning = call.meanings?.get(value) ?? meanings.get(value);
  const name = names.get(value) ?? `errno ${value}`;
  const what = `can't ${call.doing} in cluster "${call.clusterId}"`;
  // Many of these are expected (a name that is taken) and a stack costs more than the call that failed; the sentence tells the place.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    if (meaning === undefined) return new CephError('INTERNAL', `${what}: Ceph answers ${name} (${value})`, value);
    return new CephError(meaning.code, `${what}: ${meaning.sentence(call)} (${name})`, value);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** undefined instead of a CephError with ENOENT. */
export async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isCephError(error, errno.ENOENT)) return undefined;
    throw error;
  }
}
