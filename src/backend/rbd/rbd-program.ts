import type { Exec, ExecResult } from 'mount-utils-ts';
import { DriverError } from '../../domain/errors.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { Secret } from '../../platform/secret.js';
import type { MapRequest } from './mapper.js';

/** How the programs rbd and rbd-nbd are called by both kernel mappers. */
export interface ProgramCall {
  readonly program?: 'rbd' | 'rbd-nbd';
  readonly args: readonly string[];
  /** Goes to standard input, a file without a name: rbd-nbd opens its key file twice, so `--keyfile -` would not do (ADR 0006). */
  readonly key: Secret | undefined;
  readonly timeoutMs: number;
}

export async function runRbd(exec: Exec, ctx: CallContext, call: ProgramCall): Promise<ExecResult> {
  return exec(call.program ?? 'rbd', call.args, {
    signal: ctx.signal,
    timeoutMs: call.timeoutMs,
    ...(call.key === undefined ? {} : { stdin: call.key.reveal() }),
  });
}

/** pool/namespace/image, as rbd(8) takes it. */
export function imageSpec(id: RbdVolumeId): string {
  return id.namespace === '' ? `${id.pool}/${id.image}` : `${id.pool}/${id.namespace}/${id.image}`;
}

/** Nothing is read from /etc/ceph: a node needs the driver and nothing else. @param keyFile where the program finds the key */
export function connectionArguments(request: MapRequest, keyFile = '/dev/stdin'): string[] {
  return [
    '--conf',
    '/dev/null',
    '--mon-host',
    request.monitors,
    '--id',
    request.user,
    ...(request.key === undefined ? [] : ['--keyfile', keyFile]),
    ...(request.keyring === undefined ? [] : ['--keyring', request.keyring]),
  ];
}

/** rbd's exit codes are errno values. */
const meanings: Readonly<Record<number, { code: 'NOT_FOUND' | 'UNAUTHENTICATED' | 'UNAVAILABLE'; sentence: string }>> =
  {
    2: { code: 'NOT_FOUND', sentence: 'the image or its pool does not exist' },
    1: {
      code: 'UNAUTHENTICATED',
      sentence: "the cluster refuses the user or its key: check userID, userKey and the user's capabilities",
    },
    13: {
      code: 'UNAUTHENTICATED',
      sentence: "the cluster refuses the user or its key: check userID, userKey and the user's capabilities",
    },
    110: { code: 'UNAVAILABLE', sentence: 'the monitors did not answer in time; the kernel log (dmesg) may say why' },
  };

export function mapFailure(what: string, request: MapRequest, result: ExecResult): DriverError {
  const where = `${imageSpec(request.id)} of cluster "${request.id.clusterId}"`;
  if (result.failure === 'not-found')
    return new DriverError('FAILED_PRECONDITION', `${what}: the program is not installed on this node`);
  if (result.failure !== undefined) {
    return new DriverError(
      'UNAVAILABLE',
      `${what} of ${where} was ended (${result.failure}): are the monitors at ${request.monitors} reachable from this node?`,
    );
  }
  const meaning = meanings[result.exitCode ?? -1];
  const said = result.stderr.trim().slice(-400);
  return new DriverError(
    meaning?.code ?? 'INTERNAL',
    `${what} of ${where} failed (exit code ${String(result.exitCode)})${meaning === undefined ? '' : `: ${meaning.sentence}`}; it says: ${said}`,
  );
}
