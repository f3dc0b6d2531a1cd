import { Counter, Gauge, type Registry } from 'prom-client';

/** What is counted of one kind of background work; docs/metrics.md names the series. */
export interface BackgroundCount {
  /** @param place a pool, or a file system's group */
  waiting(place: string, entries: number): void;
  finished(place: string): void;
}

export type BackgroundKind = 'flatten' | 'trash';

/** Counts nothing: for whoever serves no metrics. */
export const uncounted: BackgroundCount = { waiting: () => undefined, finished: () => undefined };

export function backgroundMetrics(registry: Registry): (kind: BackgroundKind) => BackgroundCount {
  const waiting = new Gauge({
    name: 'cuttle_background_queue',
    help: 'Work that waits in the background by kind and place, what is under way included',
    labelNames: ['kind', 'place'],
    registers: [registry],
  });
  const finished = new Counter({
    name: 'cuttle_background_finished_total',
    help: 'Background work that has been done, by kind and place',
    labelNames: ['kind', 'place'],
    registers: [registry],
  });
  return (kind) => ({
    waiting: (place, entries) => {
      waiting.set({ kind, place }, entries);
    },
    finished: (place) => {
      finished.inc({ kind, place });
    },
  });
}
