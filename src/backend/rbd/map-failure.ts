import { getSystemErrorName } from 'node:util';
import type { ExecResult } from 'mount-utils-ts';
import { DriverError, type ErrorCode } from '../../domain/errors.js';
import type { KernelAnswer } from '../../platform/kernel.js';
import { codeOf, kernelSays } from '../kernel-messages.js';
import type { MapRequest } from './mapper.js';
import { imageSpec } from './rbd-program.js';
import { explainRbdLines } from './rbd-messages.js';
import type { GivenUp } from './while-wanted.js';

const refused = {
  code: 'UNAUTHENTICATED',
  sentence: "the cluster refuses the user or its key: check userID, userKey and the user's capabilities",
  isSure: true,
} as const;

interface Meaning {
  readonly code: ErrorCode;
  readonly sentence: string;
  /** The kernel's log may explain it, not make something else of it. */
  readonly isSure?: boolean;
  /** Somebody who may read the kernel's log will find the cause there. */
  readonly isLogged?: boolean;
}

/** By errno; rbd's exit codes are errno values too. */
const meanings: Readonly<Record<number, Meaning>> = {
  2: { code: 'NOT_FOUND', sentence: 'the image or its pool does not exist', isSure: true },
  1: refused,
  13: refused,
  110: { code: 'UNAVAILABLE', sentence: 'the monitors did not answer in time', isLogged: true },
};

/** The program `what` has failed. @param lines what the kernel has logged meanwhile */
export function mapFailure(
  what: string,
  request: MapRequest,
  result: ExecResult,
  lines: readonly string[] = [],
): DriverError {
  if (result.failure === 'not-found')
    return new DriverError('FAILED_PRECONDITION', `${what}: the program is not installed on this node`);
  if (result.failure !== undefined) return endedEarly(what, request, result.failure, lines);
  const said = result.stderr.trim().slice(-400);
  return explained(request, lines, {
    meaning: meanings[result.exitCode ?? -1],
    how: `${what} of ${where(request)} failed (exit code ${String(result.exitCode)})`,
    said: `; it says: ${said}`,
  });
}

/** The kernel has answered so to a map by way of sysfs, or not at all. */
export function kernelMapFailure(
  request: MapRequest,
  answer: Exclude<KernelAnswer, { wrote: true }> | GivenUp,
  lines: readonly string[],
): DriverError {
  if (answer instanceof Error) return endedEarly('the map', request, answer.why, lines);
  const name = getSystemErrorName(-answer.errno);
  if (answer.step === 'open')
    return new DriverError(
      'FAILED_PRECONDITION',
      `image ${where(request)} can't be mapped: the kernel's rbd bus below /sys/bus/rbd can't be written (${name}): run the driver's container privileged, with the host's /sys`,
    );
  return explained(request, lines, {
    meaning: meanings[answer.errno],
    how: `the kernel can't map image ${where(request)} (${name})`,
    // A refused key is EACCES; EPERM may be the OSDs' word, or the kernel's own (Linux 5.9 and newer).
    said: name === 'EPERM' ? "; or the driver's container lacks CAP_SYS_ADMIN, without which nothing is mapped" : '',
  });
}

function explained(
  request: MapRequest,
  lines: readonly string[],
  failure: { meaning: Meaning | undefined; how: string; said: string },
): DriverError {
  const { meaning, how, said } = failure;
  const findings = explainRbdLines(lines, request.id.image);
  const code = meaning?.isSure === true ? meaning.code : (codeOf(findings) ?? meaning?.code ?? 'INTERNAL');
  const sentence = meaning === undefined ? '' : `: ${meaning.sentence}`;
  const logged = kernelSays(findings, lines);
  const hint = logged === '' && meaning?.isLogged === true ? '; the kernel log (dmesg) may say why' : logged;
  return new DriverError(code, `${how}${sentence}${hint}${said}`);
}

function endedEarly(what: string, request: MapRequest, why: string, lines: readonly string[]): DriverError {
  const findings = explainRbdLines(lines, request.id.image);
  return new DriverError(
    codeOf(findings) ?? 'UNAVAILABLE',
    `${what} of ${where(request)} was ended (${why}): are the monitors at ${request.monitors} reachable from this node, and the OSDs up (ceph -s)?${kernelSays(findings, lines)}`,
  );
}

function where(request: MapRequest): string {
  return `${imageSpec(request.id)} of cluster "${request.id.clusterId}"`;
}
