import type { ExecResult } from 'mount-utils-ts';
import { DriverError } from '../domain/errors.js';
import type { DaemonStart } from './daemons.js';
import { Secret } from './secret.js';

/*
 * What the node plugin and the holder say to each other: HTTP on a unix socket, one verb. A holder is as old as its oldest mount, so
 * what is here may grow and not change.
 */

export const startPath = '/v1/start';

/** What carries the data of volumes, and lives on. */
export const heldDaemons = ['ceph-fuse', 'qemu-storage-daemon', 'rbd-nbd'] as const;
/** What a holder starts, and nothing else: losetup for the mount namespace that it runs in (ADR 0026). */
const heldPrograms = [...heldDaemons, 'losetup'] as const;
const maxTimeoutMs = 300_000;
const failures = ['not-found', 'timed-out', 'aborted', 'killed'] as const;

export function formatStart({ program, args, secrets, timeoutMs }: DaemonStart): string {
  return JSON.stringify({ program, args, secrets: (secrets ?? []).map((one) => one.reveal()), timeoutMs });
}

/** @throws DriverError INVALID_ARGUMENT; it repeats nothing of what was sent, which may hold a key. */
export function parseStart(body: string): DaemonStart {
  const { program, args, secrets, timeoutMs } = fieldsOf<keyof DaemonStart>(body);
  if (typeof program !== 'string' || !heldPrograms.some((one) => one === program))
    throw invalid(`program must be one of ${heldPrograms.join(', ')}`);
  if (!isTexts(args)) throw invalid('args must be a list of texts');
  if (!isTexts(secrets)) throw invalid('secrets must be a list of texts');
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0 && timeoutMs <= maxTimeoutMs))
    throw invalid(`timeoutMs must be a number above 0, ${maxTimeoutMs} at most`);
  return { program, args, timeoutMs, secrets: secrets.map((one) => new Secret(one)) };
}

/** @throws DriverError INTERNAL when the holder has answered something else. */
export function parseResult(body: string): ExecResult {
  const { exitCode, stdout, stderr, failure, message } = fieldsOf<keyof ExecResult | 'message'>(body);
  if ((typeof exitCode !== 'number' && exitCode !== null) || typeof stdout !== 'string' || typeof stderr !== 'string')
    throw new DriverError(
      'INTERNAL',
      typeof message === 'string' ? message : 'the holder has answered what is no result',
    );
  const known = failures.find((one) => one === failure);
  return { exitCode, stdout, stderr, ...(known === undefined ? {} : { failure: known }) };
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

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function invalid(what: string): DriverError {
  return new DriverError('INVALID_ARGUMENT', `what was sent to the holder is not understood: ${what}`);
}
