import { setTimeout as sleep } from 'node:timers/promises';
import type { DaemonHost } from '../platform/daemons.js';
import { heldDaemons } from '../platform/holder-protocol.js';
import type { Logger } from '../platform/logger.js';

const lookMs = 5_000;

/**
 * Says in the log when a daemon is there no more: unmounted it should be then, and if it is not, its pods have I/O errors. Never rejects:
 * the end of the holder would be the end of all that it holds.
 */
export async function watchDaemons(daemons: DaemonHost, log: Logger, signal: AbortSignal): Promise<void> {
  let before: ReadonlyMap<number, string> = new Map();
  while (!signal.aborted) {
    try {
      const now = await running(daemons);
      for (const [pid, program] of before) if (!now.has(pid)) log.info({ program, pid }, 'ended');
      before = now;
    } catch (error) {
      log.warn({ err: error }, 'the daemons can not be looked for');
    }
    await sleep(lookMs, undefined, { signal }).catch(() => undefined);
  }
}

async function running(daemons: DaemonHost): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (const program of heldDaemons) for (const pid of await daemons.find(program, '')) found.set(pid, program);
  return found;
}
