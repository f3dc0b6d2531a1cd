import type { ServerUnaryCall } from '@grpc/grpc-js';
import type { CallContext } from '../platform/call-context.js';

/** One RPC while it passes the interceptors. */
export interface RpcCall {
  /** e.g. /csi.v1.Controller/CreateVolume */
  readonly path: string;
  readonly method: string;
  readonly call: ServerUnaryCall<unknown, unknown>;
}

/** The work of one RPC: a message in, a message out, or an error. */
export type RpcHandler = (ctx: CallContext, request: unknown) => Promise<unknown>;

/** One layer around the work; `next` is the rest of the way. */
export type Interceptor = (
  rpc: RpcCall,
  ctx: CallContext,
  next: (ctx: CallContext) => Promise<unknown>,
) => Promise<unknown>;
