import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Exec } from 'mount-utils-ts';
import { DriverError } from '../../domain/errors.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { DaemonHost } from '../../platform/daemons.js';
import { isReadOnlyDevice, type Mapper, type MapRequest, type Mapping, waitForSize } from './mapper.js';
import { mapFailure } from './map-failure.js';
import { connectionArguments, imageSpec, runRbd } from './rbd-program.js';

const mapTimeoutMs = 60_000;

export interface NbdMapperDependencies {
  readonly exec: Exec;
  readonly daemons: DaemonHost;
  readonly sysBlock?: string;
  readonly proc?: string;
}

/** librbd in rbd-nbd behind the kernel's nbd module (rbd-nbd(8)): all of librbd's features on a kernel device. */
export class NbdMapper implements Mapper {
  readonly kind = 'nbd';
  readonly #exec: Exec;
  readonly #daemons: DaemonHost;
  readonly #sysBlock: string;
  readonly #proc: string;
  #programIsThere = false;

  constructor(deps: NbdMapperDependencies) {
    this.#exec = deps.exec;
    this.#daemons = deps.daemons;
    this.#sysBlock = deps.sysBlock ?? '/sys/block';
    this.#proc = deps.proc ?? '/proc';
  }

  async objection(): Promise<string | undefined> {
    if (!(await this.#moduleIsThere())) return 'this kernel has no nbd module (modprobe nbd fails)';
    // Once is enough for one that is there.
    this.#programIsThere ||=
      (await this.#exec('rbd-nbd', ['--version'], { timeoutMs: 10_000 })).failure !== 'not-found';
    return this.#programIsThere ? undefined : 'the program rbd-nbd is not installed (apt-get install rbd-nbd)';
  }

  async find(id: RbdVolumeId): Promise<Mapping[]> {
    const names = (await readdir(this.#sysBlock).catch(() => [])).filter((name) => /^nbd[0-9]+$/.test(name));
    const mappings: Mapping[] = [];
    for (const name of names) {
      if (!(await this.isImage(`/dev/${name}`, id))) continue;
      const readOnly = await isReadOnlyDevice(`/dev/${name}`, this.#sysBlock);
      mappings.push({ device: `/dev/${name}`, readOnly });
    }
    return mappings;
  }

  /** The device's pid attribute names the rbd-nbd process, whose command line names the image. */
  async isImage(device: string, id: RbdVolumeId): Promise<boolean> {
    const name = basename(device);
    if (!/^nbd[0-9]+$/.test(name)) return false;
    const pid = (await readFile(join(this.#sysBlock, name, 'pid'), 'utf8').catch(() => '')).trim();
    if (!/^[0-9]+$/.test(pid)) return false;
    const args = (await readFile(join(this.#proc, pid, 'cmdline'), 'utf8').catch(() => '')).split('\0');
    return basename(args[0] ?? '') === 'rbd-nbd' && args.includes(imageSpec(id));
  }

  async map(_ctx: CallContext, request: MapRequest): Promise<Mapping> {
    // It stays, to carry the data.
    const result = await this.#daemons.run({
      program: 'rbd-nbd',
      args: [
        'map',
        imageSpec(request.id),
        ...connectionArguments(request, '/dev/fd/3'),
        ...(request.readOnly ? ['--read-only'] : []),
        ...request.options.map((option) => `--${option}`),
      ],
      ...(request.key === undefined ? {} : { secrets: [request.key] }),
      timeoutMs: mapTimeoutMs,
    });
    const device = result.stdout.trim();
    if (result.exitCode !== 0 || !/^\/dev\/nbd[0-9]+$/.test(device)) throw mapFailure('rbd-nbd map', request, result);
    return { device, readOnly: request.readOnly };
  }

  /** rbd-nbd watches the image's header and tells the kernel. */
  async refreshSize(ctx: CallContext, _id: RbdVolumeId, device: string, sizeBytes: bigint): Promise<void> {
    await waitForSize(ctx, device, sizeBytes);
  }

  async unmap(ctx: CallContext, id: RbdVolumeId, options: readonly string[]): Promise<void> {
    for (const { device } of await this.find(id)) {
      const result = await runRbd(this.#exec, ctx, {
        program: 'rbd-nbd',
        args: ['unmap', device, ...options.map((option) => `--${option}`)],
        key: undefined,
        timeoutMs: mapTimeoutMs,
      });
      if (result.exitCode === 0 || !(await this.isImage(device, id))) continue;
      throw new DriverError(
        'FAILED_PRECONDITION',
        `rbd-nbd can't unmap ${device} (${imageSpec(id)}), exit code ${String(result.exitCode)}: end what uses it (lsof ${device}); it says: ${result.stderr.trim().slice(-400)}`,
      );
    }
  }

  async #moduleIsThere(): Promise<boolean> {
    const names = await readdir(this.#sysBlock).catch(() => []);
    if (names.some((name) => /^nbd[0-9]+$/.test(name))) return true;
    return (await this.#exec('modprobe', ['nbd'], { timeoutMs: 20_000 })).exitCode === 0;
  }
}
