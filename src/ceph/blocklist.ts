import { errno, isCephError, type Meaning } from './ceph-error.js';

/** Longer than any client that was cut off keeps what it hasn't written. Ceph's own default, an hour, is not. */
const fenceSeconds = 365 * 24 * 3600 + 0.5; // a monitor takes no whole number for a CephFloat: EINVAL

const refusal: Meaning = {
  code: 'PERMISSION_DENIED',
  sentence: ({ user }) =>
    `client.${user} lacks the mon capability for it: 'profile rbd', or for CephFS 'allow r, allow command "osd blocklist"' (ceph auth caps client.${user} mon '...', the other capabilities repeated)`,
};

/** What a monitor's refusal of these commands means. */
export const blocklistRefusals: ReadonlyMap<number, Meaning> = new Map([
  [errno.EACCES, refusal],
  [errno.EPERM, refusal],
]);

type Run = (command: Readonly<Record<string, unknown>>) => Promise<unknown>;

/** @param address with or without the messenger's version before it: `v1:10.0.0.7:0/123` */
export async function addToBlocklist(run: Run, address: string): Promise<void> {
  await blocklist(run, 'add', address, { expire: fenceSeconds });
}

export async function removeFromBlocklist(run: Run, address: string): Promise<void> {
  await blocklist(run, 'rm', address, {});
}

async function blocklist(run: Run, op: 'add' | 'rm', address: string, more: object): Promise<void> {
  // The mon capabilities that allow it are for this form alone (Ceph, mon/MonCap.cc: `^[^/]+/[0-9]+$`).
  const addr = address.replace(/^(?:v[12]|any):/, '');
  try {
    await run({ prefix: 'osd blocklist', blocklistop: op, addr, ...more });
  } catch (error) {
    // Its name before Pacific (16).
    if (!isCephError(error, errno.EINVAL)) throw error;
    await run({ prefix: 'osd blacklist', blacklistop: op, addr, ...more });
  }
}
