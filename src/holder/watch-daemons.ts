import { setTimeout as sleep } from 'node:timers/promises';
import type { DaemonHost } from '../platform/daemons.js';
import { heldPrograms } from '../platform/holder-protocol.js';
import type { Logger } from '../platform/logger.js';

const lookMs = 5_000;

/** Says in the log when a daemon is there no more: unmounted it should be then, and if it is not, its pods have I/O errors. */
export async function watchDaemons(daemons: DaemonHost, log: Logger, signal: AbortSignal): Promise<void> {
  let before = new Map<number, string>();
  for (;;) {
    const now = new Map<number, string>();
    for (const program of heldPrograms) for (const pid of await daemons.find(program, '')) now.set(pid, program);
    for (const [pid, program] of before) if (!now.has(pid)) log.info({ program, pid }, 'ended');
    before = now;
    try {
      await sleep(lookMs, undefined, { signal });
    } catch {
      return;
    }
  }
}
