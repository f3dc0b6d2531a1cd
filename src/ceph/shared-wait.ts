import { isDriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import { type CephCall, cephError, errno } from './ceph-error.js';

/**
 * Waits for work that several RPCs share, at most as long as this RPC lives and at most limitMs; the work itself goes on.
 * @throws CephError UNAVAILABLE when the time is up, the signal's reason when the caller goes away.
 */
export async function sharedWait<T>(ctx: CallContext, call: CephCall, work: Promise<T>, limitMs: number): Promise<T> {
  let stop = (): void => undefined;
  const ended = new Promise<undefined>((resolve) => {
    stop = () => {
      resolve(undefined);
    };
  });
  if (ctx.signal.aborted) stop();
  ctx.signal.addEventListener('abort', stop, { once: true });
  const timer = setTimeout(stop, limitMs);
  try {
    const outcome = await Promise.race([ended, work.then((value) => ({ value }))]);
    if (outcome !== undefined) return outcome.value;
  } finally {
    clearTimeout(timer);
    ctx.signal.removeEventListener('abort', stop);
  }
  const reason: unknown = ctx.signal.reason;
  throw ctx.signal.aborted && !isDriverError(reason, 'DEADLINE_EXCEEDED') ? reason : cephError(-errno.ETIMEDOUT, call);
}
