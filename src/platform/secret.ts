import { inspect } from 'node:util';

const mask = '***';

/** A value that must not be seen: printing, JSON and inspect show a mask; only reveal() gives it out. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself, for the one call that hands it to Ceph or to a program's standard input. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return mask;
  }

  toJSON(): string {
    return mask;
  }

  [inspect.custom](): string {
    return mask;
  }
}
