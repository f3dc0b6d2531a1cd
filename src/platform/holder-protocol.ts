import { DriverError, type ErrorCode, errorCodes } from '../domain/errors.js';
import type { DaemonStart } from './daemons.js';
import { Secret } from './secret.js';

/*
 * What the node plugin and the holder say to each other: HTTP on a unix socket, one verb. A holder is as old as its oldest mount, so
 * what is here may grow and not change.
 */

export const startPath = '/v1/start';

/** What a holder starts, and nothing else. */
export const heldPrograms = ['ceph-fuse', 'qemu-storage-daemon', 'rbd-nbd'] as const;
const maxTimeoutMs = 300_000;

export function formatStart({ program, args, secret, timeoutMs }: DaemonStart): string {
  return JSON.stringify({ program, args, secret: secret?.reveal(), timeoutMs });
}

/** @throws DriverError INVALID_ARGUMENT; it repeats nothing of what was sent, which may hold a key. */
export function parseStart(body: string): DaemonStart {
  const { program, args, secret, timeoutMs } = fieldsOf<keyof DaemonStart>(body);
  if (typeof program !== 'string' || !heldPrograms.some((one) => one === program))
    throw invalid(`program must be one of ${heldPrograms.join(', ')}`);
  if (!Array.isArray(args) || !args.every((arg): arg is string => typeof arg === 'string'))
    throw invalid('args must be a list of texts');
  if (secret !== undefined && typeof secret !== 'string') throw invalid('secret must be a text');
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0 && timeoutMs <= maxTimeoutMs))
    throw invalid(`timeoutMs must be a number above 0, ${maxTimeoutMs} at most`);
  return { program, args, timeoutMs, ...(secret === undefined ? {} : { secret: new Secret(secret) }) };
}

export function formatRefusal({ code, message }: DriverError): string {
  return JSON.stringify({ code, message });
}

export function parseRefusal(body: string): DriverError {
  const { code, message } = fieldsOf<'code' | 'message'>(body);
  const known: ErrorCode = errorCodes.find((one) => one === code) ?? 'INTERNAL';
  return new DriverError(known, typeof message === 'string' ? message : 'the holder gave no reason');
}

function fieldsOf<Name extends string>(body: string): Partial<Record<Name, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // falls through to the one answer
  }
  throw invalid('the body must be a JSON object');
}

function invalid(what: string): DriverError {
  return new DriverError('INVALID_ARGUMENT', `what was sent to the holder is not understood: ${what}`);
}
