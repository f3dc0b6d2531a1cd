import { DriverError } from '../domain/errors.js';

/** Ends work of many calls when its caller goes away, or when one of the calls has been silent for too long. */
export class ProgressWatch {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  #calls = 0;
  #progressMs = Date.now();

  constructor(caller: AbortSignal, silenceMs: number) {
    this.#caller = caller;
    caller.addEventListener('abort', this.#onAbort, { once: true });
    if (caller.aborted) this.#onAbort();
    this.#timer = setInterval(() => {
      if (this.#calls === 0 || Date.now() - this.#progressMs < silenceMs) return;
      this.#controller.abort(new DriverError('DEADLINE_EXCEEDED', `no call has ended for ${silenceMs} ms`));
    }, silenceMs / 4);
  }

  /** Aborted with the caller's reason, or with DEADLINE_EXCEEDED. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** @throws the signal's reason, without beginning, when it is aborted. */
  async during<T>(call: () => Promise<T>): Promise<T> {
    this.#controller.signal.throwIfAborted();
    if (this.#calls === 0) this.#progressMs = Date.now();
    this.#calls += 1;
    try {
      return await call();
    } finally {
      this.#calls -= 1;
      this.#progressMs = Date.now();
    }
  }

  end(): void {
    clearInterval(this.#timer);
    this.#caller.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => {
    this.#controller.abort(this.#caller.reason);
  };
}
