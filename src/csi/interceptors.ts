import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { DriverError, isDriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import type { Logger } from '../platform/logger.js';
import type { RpcMetrics } from '../platform/metrics.js';
import type { Interceptor, RpcCall } from './rpc.js';

/** Without a deadline of the caller's; the external-provisioner's own default is 10 s, kubelet's 120 s. */
const defaultDeadlineMs = 120_000;
/** The answer is given so much of the time before the caller stops listening, so that it hears why: programs are ended first (exec.ts). */
const answerMargin = 0.15;
const leastAnswerMarginMs = 150;
const mostAnswerMarginMs = 3_000;

const validRequestId = /^[A-Za-z0-9._-]{1,64}$/;

/** The caller's `x-request-id` if it is a plain one, else a new one. */
export function requestIdOf(rpc: RpcCall): string {
  const given = rpc.call.metadata.get('x-request-id')[0];
  return typeof given === 'string' && validRequestId.test(given) ? given : randomUUID();
}

/** One line when an RPC starts and one when it ends. Never the request: it carries secrets. */
export const logging: Interceptor = async (rpc, ctx, next) => {
  const startMs = performance.now();
  const quiet = rpc.method === 'Probe';
  ctx.log[quiet ? 'trace' : 'debug']('start');
  try {
    const reply = await next(ctx);
    ctx.log[quiet ? 'trace' : 'info']({ code: 'OK', ms: since(startMs) }, 'end');
    return reply;
  } catch (error) {
    const known = error instanceof DriverError;
    const line = {
      code: known ? error.code : 'INTERNAL',
      ms: since(startMs),
      ...(known ? { ...error.details, reason: error.message } : { err: error }),
    };
    ctx.log[known && error.code !== 'INTERNAL' ? 'warn' : 'error'](line, 'end');
    throw error;
  }
};

export function measuring(metrics: RpcMetrics): Interceptor {
  return async (rpc, ctx, next) => {
    const end = metrics.start(rpc.method);
    try {
      const reply = await next(ctx);
      end('OK');
      return reply;
    } catch (error) {
      end(error instanceof DriverError ? error.code : 'INTERNAL');
      throw error;
    }
  };
}

/** Whatever an implementation throws that isn't a DriverError: a caller's going away is told from a defect. */
export const sorting: Interceptor = async (_rpc, ctx, next) => {
  try {
    return await next(ctx);
  } catch (error) {
    const reason: unknown = ctx.signal.reason;
    if (ctx.signal.aborted && isDriverError(reason) && !(error instanceof DriverError)) throw reason;
    throw error;
  }
};

/** Gives the context its signal: aborted when the caller cancels or shortly before its deadline. */
export const deadline: Interceptor = async (rpc, ctx, next) => {
  const aborter = new AbortController();
  // A list of volumes has as many calls waiting on the signal as it has volumes.
  setMaxListeners(0, aborter.signal);
  const remainingMs = remaining(rpc);
  const timer = setTimeout(
    () => {
      aborter.abort(
        new DriverError(
          'DEADLINE_EXCEEDED',
          `${rpc.method} did not end within its deadline of ${Math.round(remainingMs)} ms: repeat it`,
        ),
      );
    },
    Math.max(remainingMs - answerMarginMs(remainingMs), 1),
  );
  rpc.call.on('cancelled', () => {
    aborter.abort(new DriverError('CANCELLED', `the caller of ${rpc.method} went away`));
  });
  try {
    return await next({ ...ctx, signal: aborter.signal });
  } finally {
    clearTimeout(timer);
  }
};

function answerMarginMs(remainingMs: number): number {
  return Math.min(Math.max(remainingMs * answerMargin, leastAnswerMarginMs), mostAnswerMarginMs);
}

function remaining(rpc: RpcCall): number {
  const deadlineAt = rpc.call.getDeadline();
  const atMs = deadlineAt instanceof Date ? deadlineAt.getTime() : deadlineAt;
  return Number.isFinite(atMs) ? Math.min(atMs - Date.now(), 2 ** 31 - 1) : defaultDeadlineMs;
}

/** The context before the deadline layer: it has no signal of its own yet. */
export function baseContext(rpc: RpcCall, log: Logger, requestId: string): CallContext {
  return { signal: new AbortController().signal, requestId, log: log.child({ rpc: rpc.method, requestId }) };
}

function since(startMs: number): number {
  return Math.round((performance.now() - startMs) * 100) / 100;
}
