import { DriverError } from '../../domain/errors.js';
import { parseQuantity } from '../../domain/quantity.js';
import type { StringMap } from '../backend.js';
import { refuseUnknownParameters } from '../parameters.js';

/*
 * Limits that librbd keeps (https://docs.ceph.com, "Image Live QoS"): rbd_qos_iops_limit and its kin, set on one image as metadata.
 * The kernel client knows none of them.
 */
const subjects = ['Iops', 'Bps', 'ReadIops', 'WriteIops', 'ReadBps', 'WriteBps'] as const;
const aspects = ['Limit', 'Burst', 'BurstSeconds'] as const;

/** Ceph's words without `rbd_`, in this driver's spelling: qosIopsLimit is rbd_qos_iops_limit. */
export const rbdMutableParameterNames: readonly string[] = subjects.flatMap((subject) =>
  aspects.map((aspect) => nameOf(subject, aspect)),
);

/** Image metadata that limits may be in. A clone must not inherit them: they belong to one volume. */
export const limitKeys: readonly string[] = rbdMutableParameterNames.map(keyOf);

/** Metadata key -> value, ready to be written. */
export type Limits = ReadonlyMap<string, string>;

/** @throws DriverError INVALID_ARGUMENT naming the parameter and what it may be. */
export function parseLimits(parameters: StringMap): Limits {
  refuseUnknownParameters(parameters, rbdMutableParameterNames, 'mutable parameter');
  const limits = new Map<string, string>();
  for (const name of rbdMutableParameterNames) {
    const text = parameters[name];
    if (text !== undefined) limits.set(keyOf(name), parseLimit(name, text).toString());
  }
  return limits;
}

/**
 * librbd takes no burst below its limit, says so in the log of the client alone, and goes on with the old limits.
 * @param present what the image has already; empty for a new one
 * @throws DriverError INVALID_ARGUMENT naming both.
 */
export function refuseBadBursts(wanted: Limits, present: Limits): void {
  const valueOf = (name: string): bigint =>
    parseQuantity(wanted.get(keyOf(name)) ?? present.get(keyOf(name)) ?? '0') ?? 0n;
  for (const subject of subjects) {
    const [limit, burst] = [nameOf(subject, 'Limit'), nameOf(subject, 'Burst')];
    const [limitValue, burstValue] = [valueOf(limit), valueOf(burst)];
    // A burst that outlives its limit does nothing; one that is asked for without a limit is a mistake.
    const isAsked = wanted.has(keyOf(burst)) || (wanted.has(keyOf(limit)) && limitValue > 0n);
    const isGood = burstValue === 0n || (limitValue > 0n && burstValue >= limitValue);
    if (!isAsked || isGood) continue;
    throw new DriverError(
      'INVALID_ARGUMENT',
      `mutable parameter ${burst} would be ${burstValue.toString()} and ${limit} ${limitValue.toString()}: a burst is at least as large as its limit, or 0 for none; set both`,
    );
  }
}

/** Names of the limits that are in force, for a message; 0 is none. */
export function limitsInForce(metadata: Limits): string[] {
  return rbdMutableParameterNames.filter(
    (name) => name.endsWith('Limit') && (metadata.get(keyOf(name)) ?? '0') !== '0',
  );
}

function nameOf(subject: (typeof subjects)[number], aspect: (typeof aspects)[number]): string {
  return `qos${subject}${aspect}`;
}

/** librbd reads the configuration of one image from metadata of this prefix. */
function keyOf(name: string): string {
  return `conf_rbd_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
}

function parseLimit(name: string, text: string): bigint {
  const value = parseQuantity(text);
  const isSeconds = name.endsWith('Seconds');
  if (value !== undefined && !(isSeconds && value === 0n)) return value;
  const what = isSeconds
    ? 'how many seconds a burst may last, from 1'
    : 'a whole number, as it is or as 10k, 2Mi and the like; 0 for no limit';
  throw new DriverError('INVALID_ARGUMENT', `mutable parameter ${name} is "${text}": write ${what}`);
}
