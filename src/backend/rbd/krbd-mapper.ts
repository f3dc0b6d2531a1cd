import { access, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Exec } from 'mount-utils-ts';
import { DriverError } from '../../domain/errors.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { featureNames } from './features.js';
import { isReadOnlyDevice, type Mapper, type MapRequest, type Mapping, waitForSize } from './mapper.js';
import { connectionArguments, imageSpec, mapFailure, runRbd } from './rbd-program.js';

const mapTimeoutMs = 60_000;

export interface KrbdMapperDependencies {
  readonly exec: Exec;
  /** The kernel's own table: Documentation/ABI/testing/sysfs-bus-rbd. */
  readonly sysBusRbd?: string;
  /** udev's socket: without udev, `rbd map` would wait for its events forever. */
  readonly udevControl?: string;
}

/** The kernel's rbd module, driven by `rbd device map` (rbd(8)). */
export class KrbdMapper implements Mapper {
  readonly kind = 'krbd';
  readonly #exec: Exec;
  readonly #sysBusRbd: string;
  readonly #udevControl: string;

  constructor(deps: KrbdMapperDependencies) {
    this.#exec = deps.exec;
    this.#sysBusRbd = deps.sysBusRbd ?? '/sys/bus/rbd';
    this.#udevControl = deps.udevControl ?? '/run/udev/control';
  }

  async objection(features: bigint): Promise<string | undefined> {
    if (!(await this.#moduleIsThere())) return 'this kernel has no rbd module (modprobe rbd fails)';
    const version = await this.#exec('rbd', ['--version'], { timeoutMs: 10_000 });
    if (version.failure === 'not-found') return 'the program rbd is not installed (apt-get install ceph-common)';
    const supported = await this.#supportedFeatures();
    const missing = supported === undefined ? 0n : features & ~supported;
    if (missing === 0n) return undefined;
    return (
      `this node's kernel does not support the image features ${featureNames(missing).join(', ')}: ` +
      `leave them out of imageFeatures in the StorageClass, or for this image: rbd feature disable`
    );
  }

  async find(id: RbdVolumeId): Promise<Mapping[]> {
    const mappings: Mapping[] = [];
    for (const index of await readdir(join(this.#sysBusRbd, 'devices')).catch(() => [])) {
      if (!(await this.#matches(index, id))) continue;
      mappings.push({ device: `/dev/rbd${index}`, readOnly: await isReadOnlyDevice(`/dev/rbd${index}`) });
    }
    return mappings;
  }

  async isImage(device: string, id: RbdVolumeId): Promise<boolean> {
    const index = /^rbd([0-9]+)$/.exec(basename(device))?.[1];
    return index !== undefined && this.#matches(index, id);
  }

  async map(ctx: CallContext, request: MapRequest): Promise<Mapping> {
    const options = [...request.options, ...(await this.#udevOptions())];
    const result = await runRbd(this.#exec, ctx, {
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
    const device = result.stdout.trim();
    if (result.exitCode !== 0 || !/^\/dev\/rbd[0-9]+$/.test(device))
      throw mapFailure('rbd device map', request, result);
    return { device, readOnly: request.readOnly };
  }

  /** The kernel watches the image's header and follows it. */
  async refreshSize(ctx: CallContext, _id: RbdVolumeId, device: string, sizeBytes: bigint): Promise<void> {
    await waitForSize(ctx, device, sizeBytes);
  }

  async unmap(ctx: CallContext, id: RbdVolumeId, options: readonly string[]): Promise<void> {
    for (const { device } of await this.find(id)) {
      const all = [...options, ...(await this.#udevOptions())];
      const result = await runRbd(this.#exec, ctx, {
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
      if (result.exitCode === 0) continue;
      if (!(await this.isImage(device, id))) continue;
      const busy = result.exitCode === 16; // EBUSY, rbd's exit code is the errno
      throw new DriverError(
        busy ? 'FAILED_PRECONDITION' : 'INTERNAL',
        busy
          ? `${device} (${imageSpec(id)}) is still open on this node: end what uses it (lsof ${device}), the request may then be repeated`
          : `rbd can't unmap ${device} (exit code ${String(result.exitCode)}): ${result.stderr.trim().slice(-400)}`,
      );
    }
  }

  async #moduleIsThere(): Promise<boolean> {
    if ((await readdir(this.#sysBusRbd).catch(() => [])).length > 0) return true;
    return (await this.#exec('modprobe', ['rbd'], { timeoutMs: 20_000 })).exitCode === 0;
  }

  async #supportedFeatures(): Promise<bigint | undefined> {
    const text = (await readFile(join(this.#sysBusRbd, 'supported_features'), 'utf8').catch(() => '')).trim();
    return /^0x[0-9a-f]+$/i.test(text) ? BigInt(text) : undefined;
  }

  async #udevOptions(): Promise<string[]> {
    return access(this.#udevControl).then(
      () => [],
      () => ['noudev'],
    );
  }

  async #matches(index: string, id: RbdVolumeId): Promise<boolean> {
    const read = async (file: string) =>
      (await readFile(join(this.#sysBusRbd, 'devices', index, file), 'utf8').catch(() => undefined))?.trim();
    if ((await read('name')) !== id.image || (await read('pool')) !== id.pool) return false;
    // Kernels before 4.19 know no namespaces and have no such file; `current_snap` is `-` for the image itself.
    return ((await read('pool_ns')) ?? '') === id.namespace && ((await read('current_snap')) ?? '-') === '-';
  }
}
