import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { DriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import type { Logger } from '../platform/logger.js';
import type { RpcMetrics } from '../platform/metrics.js';
import { csi } from './gen/csi.js';
import { baseContext, deadline, logging, measuring, requestIdOf, sorting } from './interceptors.js';
import type { Interceptor, RpcCall, RpcHandler } from './rpc.js';
import { claimSocket, removeSocket } from '../platform/socket.js';
import { toStatus } from './status.js';

export interface CsiServerOptions {
  /** An absolute path; CSI's `unix://` is already taken off. */
  readonly socketPath: string;
  readonly log: Logger;
  readonly metrics: RpcMetrics;
  readonly identity: Record<string, RpcHandler>;
  readonly controller: Record<string, RpcHandler> | undefined;
  readonly node: Record<string, RpcHandler> | undefined;
}

/** CSI's messages are small; ListVolumes without max_entries is what grows. */
const maxMessageBytes = 64 << 20;

/** The gRPC server on its unix socket. */
export class CsiServer {
  readonly #server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
  });
  readonly #options: CsiServerOptions;
  readonly #interceptors: readonly Interceptor[];
  readonly #underWay = new Set<Promise<unknown>>();
  #draining = false;

  constructor(options: CsiServerOptions) {
    this.#options = options;
    this.#interceptors = [logging, measuring(options.metrics), deadline, sorting];
    this.#add(csi.v1.UnimplementedIdentityService.definition, options.identity);
    if (options.controller !== undefined)
      this.#add(csi.v1.UnimplementedControllerService.definition, options.controller);
    if (options.node !== undefined) this.#add(csi.v1.UnimplementedNodeService.definition, options.node);
  }

  /** Listens with mode 0600. @throws DriverError FAILED_PRECONDITION when a living driver has the socket. */
  async listen(): Promise<void> {
    await claimSocket(this.#options.socketPath, async () => {
      await new Promise<void>((resolve, reject) => {
        this.#server.bindAsync(`unix:${this.#options.socketPath}`, ServerCredentials.createInsecure(), (error) => {
          if (error === null) resolve();
          else
            reject(
              new DriverError('FAILED_PRECONDITION', `can't listen on ${this.#options.socketPath}: ${error.message}`),
            );
        });
      });
    });
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Refuses new work with UNAVAILABLE, waits for what is in flight (at most graceMs), removes the socket. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    await removeSocket(this.#options.socketPath);
    const ended = Promise.allSettled([...this.#underWay]).then(() => true);
    const inTime = await Promise.race([
      ended,
      new Promise<boolean>((resolve) => setTimeout(resolve, graceMs, false).unref()),
    ]);
    if (!inTime)
      this.#options.log.warn(
        { underWay: this.#underWay.size },
        'some RPCs did not end in time: every one of them may be repeated',
      );
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, 500);
      this.#server.tryShutdown(() => {
        clearTimeout(force);
        resolve();
      });
    });
  }

  #add(definition: ServiceDefinition, handlers: Record<string, RpcHandler>): void {
    const implementation: UntypedServiceImplementation = {};
    for (const [method, handler] of Object.entries(handlers)) {
      const path = definition[method]?.path;
      if (path === undefined) throw new DriverError('INTERNAL', `the contract has no RPC ${method}`);
      implementation[method] = this.#unary(path, method, handler);
    }
    this.#server.addService(definition, implementation);
  }

  #unary(path: string, method: string, handler: RpcHandler): handleUnaryCall<unknown, unknown> {
    return (call, callback) => {
      const rpc: RpcCall = { path, method, call };
      const requestId = requestIdOf(rpc);
      const work = this.#run(rpc, requestId, handler).then(
        (reply) => {
          callback(null, reply);
        },
        (error: unknown) => {
          callback(toStatus(error, requestId));
        },
      );
      this.#underWay.add(work);
      void work.finally(() => this.#underWay.delete(work));
    };
  }

  async #run(rpc: RpcCall, requestId: string, handler: RpcHandler): Promise<unknown> {
    const through = this.#interceptors.reduceRight<(ctx: CallContext) => Promise<unknown>>(
      (next, interceptor) => async (ctx) => interceptor(rpc, ctx, next),
      async (ctx) => {
        if (this.#draining) throw new DriverError('UNAVAILABLE', 'the driver is shutting down: repeat the request');
        return handler(ctx, rpc.call.request);
      },
    );
    return through(baseContext(rpc, this.#options.log, requestId));
  }
}
