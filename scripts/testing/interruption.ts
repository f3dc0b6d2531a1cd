import { constants } from 'node:os';

export interface Interruption {
  readonly signal: AbortSignal;
  /** 128 + the signal's number, as a shell says it; undefined while nobody has interrupted. */
  exitCode(): number | undefined;
}

/** Ctrl-C and its kin become an aborted signal, so that everything started is ended in order and the machine swept. */
export function watchInterruption(): Interruption {
  const controller = new AbortController();
  let exitCode: number | undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (exitCode !== undefined) return;
      exitCode = 128 + constants.signals[name];
      console.error('\ninterrupted: ending what runs and cleaning up');
      controller.abort(new Error(`interrupted by ${name}`));
    });
  }
  return { signal: controller.signal, exitCode: () => exitCode };
}
