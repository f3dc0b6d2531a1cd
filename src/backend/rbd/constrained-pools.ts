import { DriverError } from '../../domain/errors.js';
import { type Segments, topologyKeyObjection, topologyValueObjection } from '../../domain/topology.js';
import { isObjectName } from '../../domain/volume-id.js';

/** A pool that can be reached from one place only. */
export interface ConstrainedPool {
  readonly pool: string;
  readonly dataPool: string | undefined;
  /** Its keys may be written short: `zone` for `topology.kubernetes.io/zone`. */
  readonly domain: Segments;
}

export const constrainedPoolsParameter = 'topologyConstrainedPools';
const poolFields = ['poolName', 'dataPool', 'domainSegments'];
const segmentFields = ['domainLabel', 'value'];

/**
 * Ceph-csi's JSON, as its StorageClasses have it. No text = no such pools.
 * @throws DriverError INVALID_ARGUMENT naming the entry and its field.
 */
export function parseConstrainedPools(text: string | undefined): readonly ConstrainedPool[] {
  if (text === undefined) return [];
  const entries = parseJson(text);
  if (!Array.isArray(entries) || entries.length === 0)
    throw invalid(constrainedPoolsParameter, 'is no list of pools: write [{"poolName": …, "domainSegments": […]}, …]');
  const pools = entries.map((entry, i) => parsePool(`${constrainedPoolsParameter}[${i}]`, entry));
  for (const [i, { pool, domain }] of pools.entries()) {
    const twin = pools.findIndex(
      (other) => other.pool === pool && JSON.stringify(other.domain) === JSON.stringify(domain),
    );
    if (twin < i)
      throw invalid(
        `${constrainedPoolsParameter}[${i}]`,
        `has the pool and the place of [${twin}]: leave one of them out`,
      );
  }
  return pools;
}

function parsePool(where: string, entry: unknown): ConstrainedPool {
  const { poolName, dataPool, domainSegments } = fieldsOf(where, entry, poolFields);
  if (!isPoolName(poolName)) throw invalid(`${where}.poolName`, 'is no pool name');
  if (dataPool !== undefined && dataPool !== '' && !isPoolName(dataPool))
    throw invalid(`${where}.dataPool`, 'is no pool name');
  if (!Array.isArray(domainSegments) || domainSegments.length === 0)
    throw invalid(`${where}.domainSegments`, 'is no list: write [{"domainLabel": …, "value": …}, …]');
  const domain: Record<string, string> = {};
  for (const [i, segment] of domainSegments.entries()) {
    const at = `${where}.domainSegments[${i}]`;
    const { domainLabel, value } = fieldsOf(at, segment, segmentFields);
    if (typeof domainLabel !== 'string') throw invalid(`${at}.domainLabel`, 'is missing');
    if (typeof value !== 'string') throw invalid(`${at}.value`, 'is missing, or no text');
    refuse(`${at}.domainLabel`, domainLabel, topologyKeyObjection(domainLabel));
    refuse(`${at}.value`, value, topologyValueObjection(value));
    if (Object.hasOwn(domain, domainLabel)) throw invalid(`${at}.domainLabel`, `is "${domainLabel}" once more`);
    domain[domainLabel] = value;
  }
  return { pool: poolName, dataPool: dataPool === '' ? undefined : dataPool, domain };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(constrainedPoolsParameter, `is no JSON (${error instanceof Error ? error.message : String(error)})`);
  }
}

function fieldsOf(where: string, value: unknown, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(where, `is no object with ${known.join(', ')}`);
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) throw invalid(`${where}.${unknown}`, `is unknown: known are ${known.join(', ')}`);
  return value as Readonly<Record<string, unknown>>;
}

function isPoolName(value: unknown): value is string {
  return typeof value === 'string' && isObjectName(value);
}

function refuse(where: string, text: string, objection: string | undefined): void {
  if (objection !== undefined) throw invalid(where, `is "${text}", which ${objection}`);
}

function invalid(where: string, what: string): DriverError {
  return new DriverError('INVALID_ARGUMENT', `parameter ${where} ${what}`);
}
