import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { CallContext } from '../../src/platform/call-context.js';

export interface TestContext extends CallContext {
  /** The log lines so far, parsed. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
}

/** A call's context with a log that is kept in memory. */
export function testContext(signal: AbortSignal = new AbortController().signal): TestContext {
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(JSON.parse(chunk.toString('utf8')) as Record<string, unknown>);
      done();
    },
  });
  return { signal, requestId: 'test-request', log: pino({ level: 'trace' }, stream), lines };
}
