import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type BackgroundCount, type BackgroundKind, backgroundMetrics } from './background-count.js';
import { type StateSources, stateMetrics } from './state-metrics.js';

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
  new Gauge({
    name: 'cuttle_build_info',
    help: 'Always 1; the label tells the version',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version }, 1);
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

/** The series that are looked up when somebody reads the metrics: the process's own, and those of its state. */
export function addStateMetrics({ registry }: RpcMetrics, sources: StateSources): void {
  collectDefaultMetrics({ register: registry });
  stateMetrics(registry, sources);
}
