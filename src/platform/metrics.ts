import { createServer, type Server } from 'node:http';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { DriverError } from '../domain/errors.js';
import { type BackgroundCount, type BackgroundKind, backgroundMetrics } from './background-count.js';

/** RPC counts and durations; docs/metrics.md names each series, and a test holds both together. */
export interface RpcMetrics {
  /** Call the returned function with the outcome's code when the RPC ends. */
  start(method: string): (code: string) => void;
  /** Counts of one kind of background work. */
  readonly background: (kind: BackgroundKind) => BackgroundCount;
  readonly registry: Registry;
}

export function createMetrics(version: string): RpcMetrics {
  const registry = new Registry();
  const seconds = new Histogram({
    name: 'cuttle_rpc_duration_seconds',
    help: 'Duration of CSI RPCs by method and gRPC code',
    labelNames: ['method', 'code'],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
    registers: [registry],
  });
  const underWay = new Gauge({
    name: 'cuttle_rpc_in_flight',
    help: 'CSI RPCs under way by method',
    labelNames: ['method'],
    registers: [registry],
  });
  new Counter({
    name: 'cuttle_build_info',
    help: 'Always 1; the label tells the version',
    labelNames: ['version'],
    registers: [registry],
  }).inc({ version });
  return {
    registry,
    background: backgroundMetrics(registry),
    start: (method) => {
      underWay.inc({ method });
      const startMs = performance.now();
      return (code) => {
        underWay.dec({ method });
        seconds.observe({ method, code }, (performance.now() - startMs) / 1000);
      };
    },
  };
}

/** Serves /metrics over HTTP. @param address `host:port`. @throws DriverError INVALID_ARGUMENT when it can't listen there. */
export async function serveMetrics(metrics: RpcMetrics, address: string): Promise<Server> {
  collectDefaultMetrics({ register: metrics.registry });
  const [, host, port] = /^(.*):([0-9]{1,5})$/.exec(address) ?? [];
  if (host === undefined || port === undefined || Number(port) > 65_535)
    throw new DriverError(
      'INVALID_ARGUMENT',
      `--metrics-addr "${address}" is not host:port, e.g. 127.0.0.1:9090 or :9090`,
    );
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    void metrics.registry.metrics().then((text) => {
      response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new DriverError('INVALID_ARGUMENT', `--metrics-addr ${address}: ${error.message}`));
    });
    server.listen({ port: Number(port), ...(host === '' ? {} : { host: host.replace(/^\[|\]$/g, '') }) }, resolve);
  });
  return server;
}
