import type { Exec, ExecResult } from 'mount-utils-ts';
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
