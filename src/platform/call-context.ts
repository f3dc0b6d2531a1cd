import type { Logger } from './logger.js';

/** What every layer gets as its first argument: one RPC's life. */
export interface CallContext {
  /** Aborted when the caller goes away or the deadline passes; its reason is a DriverError. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly requestId: string;
}
