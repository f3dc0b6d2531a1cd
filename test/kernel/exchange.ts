import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Row } from '../../scripts/testing/results.js';
import type { HostAction } from './host-control.js';

/** The one directory that guest and host both write to. */
const variable = 'CUTTLE_KERNEL_EXCHANGE';
/** What QEMU's user-mode network calls the host's loopback. */
export const hostAddress = '10.0.2.2';
const askTimeoutMs = 30_000;

/** What the guest is told of the host: host.json. */
export interface HostFacts {
  /** Where the cluster's daemons listen. */
  readonly clusterPorts: readonly number[];
  readonly controlPort: number;
  /** Whether the cluster is the tests' own: another's daemons are not stopped. */
  readonly ownsCluster: boolean;
}

/** What the guest leaves as outcome.json: virtme-ng may lose its exit code. One row for each job, in their order. */
export interface GuestOutcome {
  readonly rows: readonly Row[];
}

/** In the guest. */
export function exchangeDirectory(): string {
  const directory = process.env[variable];
  if (directory === undefined) throw new Error(`${variable} is not set: this runs in the virtual machine alone`);
  return directory;
}

export function nameExchange(directory: string): void {
  process.env[variable] = directory;
}

export async function hostFacts(): Promise<HostFacts> {
  return JSON.parse(await readFile(join(exchangeDirectory(), 'host.json'), 'utf8')) as HostFacts;
}

/** @throws Error with the host's own words. */
export async function askHost(action: HostAction): Promise<void> {
  const { controlPort } = await hostFacts();
  const answer = await fetch(`http://${hostAddress}:${controlPort}/${action}`, {
    method: 'POST',
    signal: AbortSignal.timeout(askTimeoutMs),
  });
  if (!answer.ok) throw new Error(`the host could not ${action}: ${await answer.text()}`);
}
