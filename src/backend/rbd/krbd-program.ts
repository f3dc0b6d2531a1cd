import { access } from 'node:fs/promises';
import type { Exec, ExecResult } from 'mount-utils-ts';
import type { CallContext } from '../../platform/call-context.js';
import type { MapRequest } from './mapper.js';
import { connectionArguments, imageSpec, runRbd } from './rbd-program.js';

export const mapTimeoutMs = 60_000;

/** `rbd device map` and `unmap` (rbd(8)), for what the kernel can't be asked directly: see add-line.ts. */
export class KrbdProgram {
  readonly #exec: Exec;
  readonly #udevControl: string;
  #isThere = false;

  /** @param udevControl udev's socket: without udev, the program would wait for its events forever */
  constructor(exec: Exec, udevControl: string) {
    this.#exec = exec;
    this.#udevControl = udevControl;
  }

  async isInstalled(): Promise<boolean> {
    this.#isThere ||= (await this.#exec('rbd', ['--version'], { timeoutMs: 10_000 })).failure !== 'not-found';
    return this.#isThere;
  }

  async map(ctx: CallContext, request: MapRequest): Promise<ExecResult> {
    const options = [...request.options, ...(await this.#udevOptions())];
    return runRbd(this.#exec, ctx, {
      args: [
        'device',
        'map',
        imageSpec(request.id),
        '--device-type',
        'krbd',
        ...connectionArguments(request),
        ...(request.readOnly ? ['--read-only'] : []),
        ...(options.length === 0 ? [] : ['--options', options.join(',')]),
      ],
      key: request.key,
      timeoutMs: mapTimeoutMs,
    });
  }

  async unmap(ctx: CallContext, device: string, options: readonly string[]): Promise<ExecResult> {
    const all = [...options, ...(await this.#udevOptions())];
    return runRbd(this.#exec, ctx, {
      args: [
        'device',
        'unmap',
        device,
        '--device-type',
        'krbd',
        ...(all.length === 0 ? [] : ['--options', all.join(',')]),
      ],
      key: undefined,
      timeoutMs: mapTimeoutMs,
    });
  }

  async #udevOptions(): Promise<string[]> {
    return access(this.#udevControl).then(
      () => [],
      () => ['noudev'],
    );
  }
}
